"""The page: complete, self-contained, safe, and written whole or not at all."""

import base64
import errno
import hashlib
import json
import re
import runpy
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from plotly.offline import get_plotlyjs

import sweeps.report
from sweeps.figures import CATALOGUE, figures
from sweeps.report import HEADINGS, page, write_report
from tests.sweeps.fake_findings import findings, matrix
from tests.sweeps.fake_pruning import audit

FAKE = runpy.run_path(str(Path(__file__).with_name("fake_results.py")))
FULL, POOR = FAKE["full"](), FAKE["poor"]()
VOID = {"meta", "link", "br", "img", "input"}
SHAPES = {"path", "circle", "rect"}


class Reader(HTMLParser):
    """A page taken apart: its elements, its scripts, and the text a person sees."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[str | None, str]] = []
        self.said, self._open = "", []
        self.feed(text)
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs).get("type"), ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "script":
            kind, text = self.scripts[-1]
            self.scripts[-1] = (kind, text + data)
        elif self._open and self._open[-1] != "style":
            self.said += data


@pytest.fixture(scope="module")
def full() -> Reader:
    return Reader(page(FULL))


@pytest.fixture
def short_plotly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeps.report, "get_plotlyjs", lambda: "var Plotly = {};")


def test_the_page_has_every_section_and_every_figure_once(full: Reader) -> None:
    ids = [attrs["id"] for _, attrs in full.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert set(HEADINGS) <= set(ids)
    assert [name for name in ids if f"data-{name}" in ids] == list(figures(FULL))
    assert re.findall(r"Figure (\d+)\.", full.said) == [str(number) for number in range(1, 13)]


def test_the_answer_stands_in_words_before_any_figure(full: Reader) -> None:
    start = full.said[:full.said.index("Figure 1.")]
    assert "α* = 1 [0.18, 5.5]" in start
    assert "4.7 [3.6, 5.8] points below plain training" in start
    assert "More capacity makes clean training error less sensitive to alpha." in start
    assert "2 trials failed: OOM." in start, "notes stand beside the numbers they qualify"


def test_nothing_points_outside_the_page(full: Reader) -> None:
    for tag, attrs in full.elements:
        for name in ("src", "href", "action", "data", "poster", "xlink:href", "srcset"):
            assert (attrs.get(name) or "#").startswith(("#", "data:")), (tag, attrs)
    styles = " ".join(attrs.get("style") or "" for _, attrs in full.elements)
    assert "url(" not in styles + sweeps.report.STYLE
    assert "@import" not in sweeps.report.STYLE


def test_plotly_is_there_once_and_only_known_scripts_may_run(full: Reader) -> None:
    running = [text for kind, text in full.scripts if kind is None]
    assert running[0] == get_plotlyjs()
    assert len(running) == 2
    policy = next(attrs["content"] for tag, attrs in full.elements if attrs.get("http-equiv") == "Content-Security-Policy")
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in running]
    assert policy is not None
    assert re.findall(r"'sha256-([^']+)'", policy) == digests
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.split("script-src")[1]


def test_the_data_of_each_figure_is_whole(full: Reader) -> None:
    found = [json.loads(text) for kind, text in full.scripts if kind == "application/json"]
    assert len([figure for figure in found if "layout" in figure]) == len(figures(FULL))


def test_every_number_of_the_curves_can_be_read_without_a_script(full: Reader) -> None:
    assert sum(tag == "tr" for tag, _ in full.elements) > 3 + 21
    assert "noscript" in [tag for tag, _ in full.elements]


@pytest.mark.usefixtures("short_plotly")
def test_pruning_has_a_section_between_the_search_and_the_run_where_there_is_any() -> None:
    found = Reader(page(replace(FULL, pruning=audit())))
    ids = [attrs["id"] for tag, attrs in found.elements if tag == "section"]
    assert ids[ids.index("search"):ids.index("run") + 1] == ["search", "pruning", "run"]
    assert "wrongly stopped (%)" in found.said
    assert "How early a trial's rank is known" in found.said
    assert "pruning" not in [attrs["id"] for tag, attrs in Reader(page(FULL)).elements if tag == "section"]


@pytest.mark.usefixtures("short_plotly")
def test_a_young_audit_of_pruning_says_that_it_has_too_little() -> None:
    said = Reader(page(replace(FULL, pruning=audit(3, ("w",))))).said
    assert "not enough data (n" in said
    assert not re.search(r"\b(nan|None|undefined)\b", said)


@pytest.mark.parametrize("name", sorted(POOR))
@pytest.mark.usefixtures("short_plotly")
def test_a_poor_answer_makes_a_whole_page(name: str) -> None:
    found = Reader(page(POOR[name]))
    assert not re.search(r"\b(nan|None|undefined)\b", found.said)
    charted = {re.sub(r"_\d+$", "", each) for each in figures(POOR[name])}
    sections = {attrs["id"] for tag, attrs in found.elements if tag == "section"}
    expected = {entry.name for entry in CATALOGUE if entry.section in sections}
    assert charted <= expected, "nothing is drawn for a section that the page does not have"
    assert found.said.count("Not enough data yet.") == len(expected - charted)


@pytest.mark.parametrize("name", ["empty", "search only", "not measured", "all failed", "nan", "one alpha"])
@pytest.mark.usefixtures("short_plotly")
def test_a_page_without_data_says_so_at_the_top(name: str) -> None:
    said = Reader(page(POOR[name])).said.lower()
    assert "not enough data" in said[:said.index("risk, bias and variance", said.index("the answer") + 100)]


@pytest.mark.usefixtures("short_plotly")
def test_hostile_text_stays_text_everywhere() -> None:
    text = page(POOR["hostile"])
    found = Reader(text)
    assert [tag for tag, _ in found.elements].count("img") == 0
    assert [kind for kind, _ in found.scripts].count(None) == 2
    assert "alert(1)</script>" not in text
    places = ("study", "note", "conjecture", "capacity", "setting", "state", "provenance")
    assert found.said.count(FAKE["EVIL"]) >= len(places)


@pytest.mark.usefixtures("short_plotly")
def test_the_page_is_the_same_for_the_same_results() -> None:
    assert page(FULL) == page(FAKE["full"]())


@pytest.mark.usefixtures("short_plotly")
def test_a_report_makes_its_folder_and_leaves_nothing_else_in_it(tmp_path: Path) -> None:
    path = write_report(FULL, tmp_path / "reports" / "digits" / "index.html")
    assert path == tmp_path / "reports" / "digits" / "index.html"
    assert path.read_text(encoding="utf-8") == page(FULL)
    assert list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o444 == 0o444


@pytest.mark.usefixtures("short_plotly")
def test_a_report_that_fails_leaves_the_last_one_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_report(FULL, tmp_path / "index.html")
    before = path.read_text(encoding="utf-8")

    def full_disk(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    with pytest.raises(OSError, match="no space"):
        write_report(POOR["flat"], path)
    assert path.read_text(encoding="utf-8") == before


def test_the_report_needs_neither_torch_nor_ray_nor_mlflow() -> None:
    probe = "import sys, sweeps.report; print([name for name in ('torch', 'ray', 'mlflow') if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_tables_and_charts_need_no_plotly() -> None:
    probe = ("import sys, sweeps.tables, sweeps.charts.ladder, sweeps.charts.search, sweeps.charts.timeline, "
             "sweeps.charts.picture; print('plotly' in sys.modules)")
    out = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"


@pytest.fixture(scope="module")
def diagnosed() -> Reader:
    return Reader(page(replace(FULL, findings=findings())))


def test_diagnostics_have_a_section_where_there_are_any(full: Reader, diagnosed: Reader) -> None:
    assert "diagnostics" not in [attrs.get("id") for _, attrs in full.elements]
    ids = [attrs["id"] for _, attrs in diagnosed.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert ids.index("capacity") < ids.index("diagnostics") < ids.index("search")
    assert "#diagnostics" in [attrs.get("href") for _, attrs in diagnosed.elements]


def test_each_diagnostic_has_its_pictures_its_table_and_its_words(diagnosed: Reader) -> None:
    for part in ("Calibration", "Robustness", "Memorisation", "Black box attacks", "55.0 ± 5.0", "n = 4 splits an arm",
                 "3 trials of 84 ended without it", "ε in 1/255", "n = 1 replicate"):
        assert part in diagnosed.said.replace("\u00a0", " "), part
    drawn = [name for name in figures(replace(FULL, findings=findings())) if name not in figures(FULL)]
    ids = {attrs.get("id") for _, attrs in diagnosed.elements}
    assert set(drawn) <= ids
    assert re.findall(r"Figure (\d+)\.", diagnosed.said) == [str(number) for number in range(1, 13 + len(drawn))]


def test_the_cells_of_the_matrix_are_the_darker_the_larger(diagnosed: Reader) -> None:
    shades = [attrs["style"] for tag, attrs in diagnosed.elements if tag == "td" and attrs.get("style")]
    assert shades.count("background:rgba(213,94,0,0.60)") == 4
    assert shades.count("background:rgba(213,94,0,0.00)") == 2 + 4


@pytest.mark.usefixtures("short_plotly")
def test_a_section_of_diagnostics_that_found_nothing_yet_says_for_how_many() -> None:
    said = Reader(page(replace(FULL, findings=findings((), lacking={"calibration": 84}, transfer=None)))).said
    assert "calibration: 84 trials of 84 ended without it" in said


@pytest.mark.usefixtures("short_plotly")
def test_hostile_text_stays_text_in_the_diagnostics() -> None:
    evil = FAKE["EVIL"]
    known = matrix()
    known["models"][0]["label"] = evil
    found = Reader(page(replace(FULL, findings=findings((evil,), lacking={evil: 1}, transfer=known))))
    assert [tag for tag, _ in found.elements].count("img") == 0
    assert [kind for kind, _ in found.scripts].count(None) == 2
    assert found.said.count(evil) >= 6


@pytest.mark.usefixtures("short_plotly")
def test_arms_stand_in_the_answer_and_only_where_there_are_any() -> None:
    said = Reader(page(POOR["arms"])).said
    assert said.index("The arms") < said.index("Figure 1.")
    assert "mixup + dropout 0.7" in said
    assert "Beside the ladder, 3 arms." in said
    assert "The arms" not in Reader(page(FULL)).said
    assert "Beside the ladder" not in Reader(page(FULL)).said


@pytest.mark.usefixtures("short_plotly")
def test_a_page_without_a_ladder_says_so_at_the_top() -> None:
    said = Reader(page(POOR["no ladder"])).said
    start = said[:said.index("Risk, bias and variance", said.index("The answer") + 100)]
    assert "no ladder" in start
    assert "There is no ladder of alphas" in start
    assert "not known yet" not in start
