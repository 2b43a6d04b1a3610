"""The report: one HTML file with everything a study found, readable offline, on a phone and on paper.

Owns the order of the page and the escaping of whatever comes from a study. The page asks the network for nothing, and
its content policy forbids it to: only the two scripts written here may run, known by their digests.
"""

import base64
import hashlib
import html
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

from plotly.offline import get_plotlyjs

from sweeps import tables
from sweeps.analysis.results import NO_LADDER, CapacityResult, StudyResults, SweetSpot
from sweeps.charts.canvas import Chart
from sweeps.charts.legend import legend
from sweeps.figures import AUDITED, CAPACITY, CATALOGUE, CURVES, DIAGNOSED, PLOT_CONFIG, PRUNING, RUN, SEARCH, Entry, figure
from sweeps.findings_tables import findings_notes, findings_table, transfer_note, transfer_tables
from sweeps.inference_tables import interactions_note, interactions_table, refined_text, slopes_text
from sweeps.page import HOW_TO_READ, SCRIPT, STYLE
from sweeps.pruning_tables import pruning_note, pruning_table
from sweeps.quantities import risk
from sweeps.storage import write_whole
from sweeps.tables import NOT_ENOUGH, Table
from sweeps.theme import alpha_interval, alpha_text, count_text, known, mark, plural
from sweeps.variance_tables import class_table, components_note, components_table
from trainable.diagnostics import DIAGNOSTICS

HEADINGS = {"answer": "The answer", CURVES: "Risk, bias and variance", CAPACITY: "Does capacity move it?",
            SEARCH: "The search", RUN: "The run", "reading": "How to read this", "provenance": "Provenance"}
DIAGNOSTICS_ID = "diagnostics"
TYPESET = {"alpha*": "α*", "bias2": "bias²", " %": "\u00a0%", "n = ": "n\u00a0=\u00a0"}
OUTSIDE_PLOT = 62
"""Pixels of a chart's height that its title and legend take; on the page both stand outside of it."""


def write_report(results: StudyResults, path: Path | str) -> Path:
    """The page at `path`, whole or not at all. Makes the folder; raises OSError when it cannot be written."""
    write_whole(str(path), page(results).encode())
    return Path(path)


def page(results: StudyResults) -> str:
    """The whole page as text."""
    plotly, numbers = get_plotlyjs(), itertools.count(1)
    policy = ("default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; base-uri 'none'; "
              f"form-action 'none'; script-src {_digest(plotly)} {_digest(SCRIPT)}")
    sections = "\n".join(f'<section id="{name}"><h2>{heading}</h2>{_section(name, results, numbers)}</section>'
                         for name, heading in headings(results).items())
    links = "".join(f'<a href="#{name}">{heading}</a>' for name, heading in headings(results).items())
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>{_escape(results.study)} · mixup sweep</title>
<style>{STYLE}</style></head>
<body><header><p class="kicker">mixup sweep</p><h1>{_escape(results.study)}</h1>
<p class="soft">{_pretty(_lead(results))}</p><nav aria-label="Sections">{links}</nav>
<noscript><p><b>The figures need JavaScript; every number is in the tables.</b></p></noscript></header>
<main>{sections}</main><footer></footer>
<script type="application/json" id="plot-config">{json.dumps(PLOT_CONFIG)}</script>
<script>{plotly}</script>
<script>{SCRIPT}</script></body></html>
"""


def headings(results: StudyResults) -> dict[str, str]:
    """The sections of this page; diagnostics and pruning have one where there are any, capacity unless there is only one."""
    extra = {SEARCH: (DIAGNOSTICS_ID, "Diagnostics") if results.findings else None,
             RUN: (PRUNING, "Pruning") if results.pruning else None}
    found = dict(item for name, heading in HEADINGS.items() for item in (extra.get(name), (name, heading)) if item)
    return {name: heading for name, heading in found.items() if name != CAPACITY or len(results.capacities) != 1}


def _digest(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _escape(value: object) -> str:
    return html.escape(str(value))


def _pretty(value: object) -> str:
    """Escaped, with the signs and spaces a typesetter would use."""
    said = _escape(value)
    for plain, typeset in TYPESET.items():
        said = said.replace(plain, typeset)
    return re.sub(r"(?<![\w.,&;#/-])-(?=\d)", "−", re.sub(r"\binf\b", "∞", said))


def _lead(results: StudyResults) -> str:
    points = [point for found in results.capacities for point in found.points]
    count = len(results.capacities)
    alphas, measured = len({each.alpha for each in points}), sum(each.num_trials for each in points)
    arms = len({arm.name for found in results.capacities for arm in found.arms if not arm.is_rung})
    return (f"Where is alpha's sweet spot, and does capacity move it? By {risk(results.objective).name}, over "
            f"{count} {'capacity' if count == 1 else 'capacities'} and {plural(alphas, 'alpha')}: "
            f"{plural(measured, 'measured trial')} after a search of {plural(len(results.search), 'trial')}."
            + (f" Beside the ladder, {plural(arms, 'arm')}." if arms else ""))


def _section(name: str, results: StudyResults, numbers: Iterator[int]) -> str:
    if name == DIAGNOSTICS_ID:
        return _diagnostics(results, numbers)
    figures = _figures(name, results, numbers)
    if name == "answer":
        return _answer(results)
    if name == "reading":
        return f"<dl>{''.join(f'<dt>{_pretty(term)}</dt><dd>{_pretty(said)}</dd>' for term, said in HOW_TO_READ)}</dl>"
    if name == "provenance":
        return _table(tables.provenance_table(results), "Provenance", wraps=True)
    if name == RUN:
        return f'{figures}<div class="aside">{_table(tables.counts_table(results), "Trials by state")}</div>'
    if name == CAPACITY:
        return _conjecture(results) + figures
    if name == SEARCH and results.interactions:
        found = _table(interactions_table(results), "Interactions with alpha")
        return f'{figures}{found}<p class="note">{_pretty(interactions_note(results))}</p>'
    if name == PRUNING:
        return _pruning(results) + figures
    if name == CURVES:
        ladder = _table(tables.ladder_table(results), "Ladder")
        return f"{figures}<details><summary>Every number behind these curves</summary>{ladder}</details>{_components(results)}"
    return figures


def _answer(results: StudyResults) -> str:
    cards = "".join(_card(found, index, results) for index, found in enumerate(results.capacities))
    if not cards:
        cards = f'<div class="card"><p>{_badge(NOT_ENOUGH)} No capacity has been measured yet.</p></div>'
    notes = "".join(f"<li>{_pretty(note)}</li>" for note in results.notes)
    return (f'<div class="cards">{cards}</div>{_conjecture(results, "<b>Does capacity move it?</b> ")}'
            f'{_table(tables.headline_table(results), "Sweet spot of each capacity")}'
            f'<p class="note">{_pretty(tables.table_note(results))}</p>'
            + _arms(results)
            + (f'<ul class="note">{notes}</ul>' if notes else ""))


def _conjecture(results: StudyResults, start: str = "") -> str:
    asked = [(start, results.conjecture)] if len(results.capacities) != 1 else []
    told = [*asked, *([("<b>And longer training?</b> ", results.training)] if results.training else [])]
    return "".join(f"<p>{before}{_badge(found.verdict)} {_pretty(found.text)}</p>" for before, found in told)


def _card(found: CapacityResult, index: int, results: StudyResults) -> str:
    spot, look = found.sweet(results.objective), mark(index)
    size = f"{count_text(found.num_parameters)} parameters" if found.num_parameters is not None else ""
    interval = f" <small>{_pretty(alpha_interval(spot.low, spot.high))}</small>" if known(spot.low) else ""
    answer = f"α* = {_pretty(alpha_text(spot.alpha))}{interval}" if known(spot.alpha) else _unknown(spot)
    lines = [tables.meaning(found, results.objective), tables.risk_text(found, results.objective), spot.advice,
             refined_text(found, results.objective), slopes_text(found)]
    setting = tables.setting_text(found.setting)
    return (f'<article class="card" style="--mark:{look.colour}"><div class="top"><span class="name">'
            f'<span class="glyph" aria-hidden="true">{look.glyph}</span>{_escape(found.capacity)}</span>'
            f'{_badge(spot.verdict)}</div><div class="soft">{size}</div>'
            f'<div class="answer">{answer}</div>'
            + "".join(f"<p>{_pretty(line)}</p>" for line in lines if line)
            + (f'<p class="setting">Measured at {_escape(setting)}.</p>' if setting else "") + "</article>")


def _unknown(spot: SweetSpot) -> str:
    return "no ladder" if spot.verdict == NO_LADDER else "α* is not known yet"


def _arms(results: StudyResults) -> str:
    """The arms beside each other, where the study names any."""
    found = tables.arms_table(results)
    if not found.rows:
        return ""
    return (f'<h3 class="topic">The arms</h3>{_table(found, "Arms")}'
            f'<p class="note">{_pretty(tables.arms_note(results))}</p>')


def _components(results: StudyResults) -> str:
    """Where the variance comes from; by true class in a fold a capacity."""
    whole = components_table(results)
    if not whole.rows:
        return ""
    folds = "".join(f"<details><summary>Bias and variance by true class, {_pretty(found.capacity)}</summary>"
                    f"{_table(table, f'By true class, {found.capacity}')}</details>"
                    for found in results.capacities if (table := class_table(found)).rows)
    return (f'<h3 class="topic">Where the variance comes from</h3>{_table(whole, "Components of variance")}'
            f'<p class="note">{_pretty(components_note(results))}</p>{folds}')


def _pruning(results: StudyResults) -> str:
    """What stopping trials saved, and how often it was wrong."""
    if results.pruning is None:
        return ""
    return (f"{_table(pruning_table(results.pruning), 'Audit of pruning')}"
            f'<p class="note">{_pretty(pruning_note(results.pruning, results.objective))}</p>')


def _badge(verdict: str) -> str:
    return f'<span class="badge {re.sub("[^a-z]+", "-", verdict.lower())}">{_escape(verdict)}</span>'


def _table(table: Table, name: str, *, wraps: bool = False) -> str:
    if not table.rows:
        return f'<p class="empty">{_escape(name)}: {NOT_ENOUGH} yet.</p>'
    sides = ["number" if column in table.numeric else "text" for column in table.columns]
    head = "".join(f'<th scope="col" class="{side}">{_pretty(column)}</th>'
                   for column, side in zip(table.columns, sides, strict=True))
    body = "".join("<tr>" + f'<th scope="row">{_pretty(row[0])}</th>'
                   + "".join(f'<td class="{side}">{_stacked(cell)}</td>'
                             for cell, side in zip(row[1:], sides[1:], strict=True)) + "</tr>" for row in table.rows)
    return (f'<div class="scroll{" wrap" if wraps else ""}" role="region" aria-label="{_escape(name)}" tabindex="0">'
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>")


def _stacked(cell: str) -> str:
    """A cell with its interval under it."""
    return re.sub(r"^(\S+) (\[.*\])$", r'\1 <span class="range">\2</span>', _pretty(cell))


def _figures(section: str, results: StudyResults, numbers: Iterator[int]) -> str:
    entries = [entry for entry in (*CATALOGUE, *DIAGNOSED, *AUDITED) if entry.section == section]
    return "".join(f'<div class="row">{"".join(_entry(entry, results, numbers) for entry in row)}</div>'
                   for _, row in itertools.groupby(entries, key=lambda entry: entry.row))


def _diagnostics(results: StudyResults, numbers: Iterator[int]) -> str:
    """Notes, then of each diagnostic what it is, its pictures, and a table a capacity; last the attacks of arms on arms."""
    found = results.findings
    if found is None:
        return ""
    parts = [f'<ul class="note">{"".join(f"<li>{_pretty(note)}</li>" for note in findings_notes(found))}</ul>']
    for name in found.names:
        drawn = any(entry.draw(results) for entry in DIAGNOSED if entry.section == name)
        listed = "".join(f"<p><b>{_pretty(each.capacity)}</b></p>{_table(table, f'{name}, {each.capacity}')}"
                         for each in found.capacities if (table := findings_table(each, name)).rows)
        parts.append(f'<h3 class="topic">{_topic(name)}</h3><p class="soft">{_pretty(_sentence(DIAGNOSTICS[name]))}</p>'
                     f'{_figures(name, results, numbers) if drawn else ""}<details{"" if drawn else " open"}>'
                     f"<summary>Every number: {_topic(name).lower()}</summary>{listed}</details>")
    if found.transfer:
        heats = "".join(f"<p><b>{_topic(attack)}</b></p>{_heat(table, shares, attack)}"
                        for attack, (table, shares) in transfer_tables(found).items())
        parts.append(f'<h3 class="topic">Black box attacks</h3><p class="soft">{_pretty(transfer_note(found))}</p>{heats}')
    return "".join(parts)


def _sentence(said: str) -> str:
    return f"{said[:1].upper()}{said[1:]}."


def _topic(name: str) -> str:
    return _escape(name.upper() if name in ("fgsm", "pgd") else name.replace("_", " ").capitalize())


def _heat(table: Table, shares: list[list[float | None]], name: str) -> str:
    """A table whose cells are the darker the larger their share, between the least and the greatest of it."""
    known_shares = [share for row in shares for share in row if share is not None]
    low, span = min(known_shares, default=0.0), max(max(known_shares, default=1.0) - min(known_shares, default=0.0), 1e-9)
    head = "".join(f'<th scope="col" class="number">{_pretty(column)}</th>' for column in table.columns[1:])
    body = "".join(f'<tr><th scope="row">{_pretty(row[0])}</th>' + "".join(
        f'<td class="number"{_shade(share, low, span)}>{_pretty(cell)}</td>'
        for cell, share in zip(row[1:], shared, strict=True)) + "</tr>" for row, shared in zip(table.rows, shares, strict=True))
    return (f'<div class="scroll heat" role="region" aria-label="{_escape(name)}" tabindex="0"><table><thead><tr>'
            f'<th scope="col">{_pretty(table.columns[0])}</th>{head}</tr></thead><tbody>{body}</tbody></table></div>')


def _shade(share: float | None, low: float, span: float) -> str:
    return "" if share is None else f' style="background:rgba(213,94,0,{0.6 * (share - low) / span:.2f})"'


def _entry(entry: Entry, results: StudyResults, numbers: Iterator[int]) -> str:
    charts = entry.charts(results)
    if not charts:
        return f'<figure><h3>{_pretty(entry.title)}</h3><p class="empty">{NOT_ENOUGH.capitalize()} yet.</p></figure>'
    return "".join(_chart(name, chart, next(numbers)) for name, chart in charts.items())


def _chart(name: str, chart: Chart, number: int) -> str:
    """A figure with its data beside it, in which no text of a study can end the script element."""
    data = str(figure(chart).to_json()).replace("<", "\\u003c")  # plotly does so too, but does not promise it
    return (f'<figure><h3>{_pretty(chart.title)}</h3>{legend(chart)}'
            f'<div class="plot" id="{name}" style="height:{chart.height - OUTSIDE_PLOT}px" role="img" '
            f'aria-label="{_escape(chart.title)}. {_escape(chart.caption)}"></div>'
            f"<figcaption><b>Figure {number}.</b> {_pretty(chart.caption)}</figcaption>"
            f'<script type="application/json" id="data-{name}">{data}</script></figure>')
