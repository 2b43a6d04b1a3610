"""The look of the report: its style sheet, the script that draws the charts, and what the reader should know.

Plain text constants; knows no result. The page may load nothing: no address occurs here.
"""

STYLE = """
:root {
  --ink:#1b1f24; --soft:#57606a; --paper:#ffffff; --card:#f6f8fa; --line:#d8dee4; --accent:#0072b2;
  --good:#0a6b4c; --good-bg:#dff5ec; --warn:#8a4b00; --warn-bg:#fdf0d9; --calm:#4d5660; --calm-bg:#e8ebee;
  color-scheme:light dark;
}
@media screen and (prefers-color-scheme:dark) {
  :root {
    --ink:#e6e9ed; --soft:#9aa5b1; --paper:#0f1318; --card:#181d24; --line:#2c343d; --accent:#6cb8ea;
    --good:#7fe0bb; --good-bg:#0f3a2c; --warn:#f6c77d; --warn-bg:#43300f; --calm:#b6c0ca; --calm-bg:#2a3139;
  }
  .plot .main-svg, .legend svg, .glyph { filter:brightness(1.2) }
}
* { box-sizing:border-box }
html { scroll-behavior:smooth; -webkit-text-size-adjust:100% }
body { margin:0; background:var(--paper); color:var(--ink);
  font:16px/1.5 system-ui,-apple-system,"Segoe UI","Helvetica Neue","DejaVu Sans",sans-serif }
header, main, footer { max-width:1280px; margin:0 auto; padding:0 clamp(14px,3vw,40px) }
header { padding-top:clamp(20px,4vw,44px) }
footer { padding-bottom:40px; margin-top:3em }
h1 { font-size:clamp(1.6rem,4vw,2.3rem); line-height:1.15; margin:.1em 0 .25em; letter-spacing:-.02em }
h2 { font-size:1.3rem; margin:2.4em 0 .2em; padding-top:.9em; border-top:1px solid var(--line); letter-spacing:-.01em }
h3 { font-size:1rem; margin:0 }
h1, h3, li, dd, .card, .legend button { overflow-wrap:anywhere }
p { margin:.4em 0; max-width:85ch }
ul { padding-left:1.2em; margin:.5em 0; font-size:.9rem; max-width:90ch }
a, summary { color:var(--accent) }
a:focus-visible, summary:focus-visible, button:focus-visible { outline:2px solid var(--accent); outline-offset:2px }
.soft, figcaption, .note { color:var(--soft); font-size:.875rem }
.kicker { text-transform:uppercase; letter-spacing:.12em; font-size:.75rem; color:var(--soft); margin:0 }
nav { display:flex; flex-wrap:wrap; gap:.2em 1.2em; margin:.9em 0 0; font-size:.9rem }

.cards, .row { display:grid; gap:14px; grid-template-columns:repeat(auto-fit,minmax(min(100%,290px),1fr)) }
.cards { margin:1.4em 0 }
.row { gap:8px 26px }
.row > * { min-width:0 }
.card { background:var(--card); border:1px solid var(--line); border-top:4px solid var(--mark,var(--line));
  border-radius:10px; padding:14px 16px 12px; break-inside:avoid }
.card p { font-size:.9rem; margin:.35em 0 }
.card .setting { font-size:.8rem; color:var(--soft) }
.top { display:flex; justify-content:space-between; align-items:baseline; gap:8px }
.name { font-weight:600 }
.glyph { color:var(--mark); margin-right:.35em }
.answer { font-size:1.9rem; font-weight:650; letter-spacing:-.02em; line-height:1.2; margin:.3em 0 .1em;
  font-variant-numeric:tabular-nums }
.answer small { font-size:1rem; font-weight:400; color:var(--soft); letter-spacing:0 }
.badge { display:inline-block; font-size:.75rem; font-weight:600; border-radius:99px; padding:.1em .75em;
  white-space:nowrap; background:var(--calm-bg); color:var(--calm) }
.badge.bracketed, .badge.supported { background:var(--good-bg); color:var(--good) }
.badge.edge, .badge.contradicted { background:var(--warn-bg); color:var(--warn) }

.scroll { overflow-x:auto; margin:1em 0 .4em; border:1px solid var(--line); border-radius:10px }
table { border-collapse:collapse; width:100%; font-size:.82rem; font-variant-numeric:tabular-nums }
th, td { padding:.5em .44em; text-align:left; vertical-align:top; white-space:nowrap; border-bottom:1px solid var(--line) }
th { color:var(--soft); font-weight:600; background:var(--card) }
thead th { white-space:normal; vertical-align:bottom; min-width:3.2em }
tbody th { color:var(--ink); background:var(--paper) }
tbody tr:last-child > * { border-bottom:0 }
.number { text-align:right }
.range { display:block; font-size:.94em; color:var(--soft) }
.scroll tr > :first-child { position:sticky; left:0; z-index:1 }
.wrap td, .wrap th { white-space:normal; overflow-wrap:anywhere }

figure { margin:1.5em 0 0; break-inside:avoid }
figcaption { margin-top:.3em; max-width:95ch }
.topic { font-size:1.1rem; margin:2em 0 0 }
.heat td { min-width:3.4em }
.aside { margin-top:1.5em; max-width:22rem }
.empty { border:1px dashed var(--line); border-radius:10px; padding:18px; color:var(--soft) }
.legend { display:flex; flex-wrap:wrap; gap:2px 14px; margin:.35em 0 0 }
.legend button { all:unset; cursor:pointer; font-size:.8rem; display:inline-flex; align-items:center; gap:6px }
.legend button[aria-pressed="false"] { opacity:.35; text-decoration:line-through }
.legend svg { flex:none }
.plot { width:100%; margin-top:.2em }
.plot .modebar { opacity:0; transition:opacity .2s }
.plot:hover .modebar { opacity:1 }
.plot .xtick text, .plot .ytick text, .plot .y2tick text, .plot .annotation-text { fill:var(--ink) !important }
.plot .xtitle, .plot .ytitle { fill:var(--soft) !important }
.plot .annotation-text { paint-order:stroke; stroke:var(--paper); stroke-width:3px; stroke-linejoin:round }
details { margin:1em 0 }
summary { cursor:pointer }
dl { display:grid; grid-template-columns:minmax(8em,max-content) 1fr; gap:.35em 1.2em; font-size:.9rem; max-width:95ch }
dt { font-weight:600 }
dd { margin:0 }

@media (max-width:560px) {
  body { font-size:15px }
  dl { grid-template-columns:1fr }
  dd { margin-bottom:.5em }
}
@media print {
  @page { margin:14mm }
  body { font-size:10.5pt }
  header, main, footer { padding:0 }
  nav, .modebar-container, details:not([open]) { display:none !important }
  h2 { break-after:avoid }
  .row { display:block }
  .scroll { overflow:visible; border:0 }
  .scroll tr > :first-child { position:static }
  table { font-size:7.5pt }
  th, td { padding:.3em .4em }
}
"""

SCRIPT = """
(function () {
  'use strict';
  var plots = Array.prototype.slice.call(document.querySelectorAll('.plot'));
  var config = JSON.parse(document.getElementById('plot-config').textContent);
  var touch = window.matchMedia('(pointer: coarse)').matches;

  function draw(plot) {
    var figure = JSON.parse(document.getElementById('data-' + plot.id).textContent), layout = figure.layout;
    delete layout.title;  // the page has its own title and legend, which wrap
    layout.showlegend = false;
    layout.margin.t = 10;
    layout.height = plot.clientHeight;
    layout.dragmode = touch ? false : 'zoom';
    Plotly.newPlot(plot, figure.data, layout, Object.assign(
      { displayModeBar: !touch, toImageButtonOptions: { format: 'svg', filename: plot.id } }, config));
  }

  function toggle(button) {
    var plot = button.closest('figure').querySelector('.plot'), shown = button.getAttribute('aria-pressed') !== 'true';
    var indices = plot.data.map(function (trace, index) { return index; }).filter(function (index) {
      return (plot.data[index].legendgroup || plot.data[index].name) === button.dataset.group;
    });
    button.setAttribute('aria-pressed', String(shown));
    Plotly.restyle(plot, { visible: shown }, indices);
  }

  plots.forEach(draw);
  document.querySelectorAll('.legend button').forEach(function (button) {
    button.addEventListener('click', function () { toggle(button); });
  });
  window.addEventListener('beforeprint', function () {
    plots.forEach(function (plot) { Plotly.relayout(plot, { width: 660, autosize: false }); });
  });
  window.addEventListener('afterprint', function () {
    plots.forEach(function (plot) { Plotly.relayout(plot, { width: null, autosize: true }); });
  });
})();
"""

HOW_TO_READ = (
    ("alpha",
     "Mixup trains on blends of two examples, with λ drawn from Beta(alpha, alpha). 0 is plain training (ERM); the "
     "larger alpha, the closer every blend is to half and half. Axes are spaced by ε = 1 − E max(λ, 1−λ), the mean "
     "share of the lighter example: it stays within [0, 1/2] where alpha runs to infinity."),
    ("alpha* and its interval",
     "alpha* is the rung of the ladder with the lowest validation risk. The rungs that cannot be told from the best one "
     "form the confidence set; the interval is its hull, reaching halfway to the neighbouring rungs."),
    ("verdict",
     "bracketed: the set excludes both ends of the ladder. edge: it holds one end, so the optimum may lie beyond. "
     "flat: it holds both ends, so this budget cannot tell. not enough data: too little has finished."),
    ("gain",
     "Risk of plain training minus risk at alpha*, paired by split: both were trained on the same data, from the same "
     "weights, with the same random numbers. An interval that excludes 0 is a gain beyond the noise between splits."),
    ("n",
     "Training splits. They, not seeds, carry the inference: intervals speak of the variation between splits."),
    ("bias² and variance",
     "Of models trained on different splits, on test predictions: bias² is what their mean gets wrong (noise of the "
     "labels included), variance how much they differ. They add up to the squared error or KL divergence of the "
     "predicted probabilities, not to the share of wrong answers."),
    ("test error", "Read once, at the end. Nothing was chosen by it."),
)
