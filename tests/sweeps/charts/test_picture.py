"""The static picture of the headline."""

import runpy
from pathlib import Path
from xml.etree import ElementTree

import pytest

from sweeps.charts.picture import picture, write_picture

FAKE = runpy.run_path(str(Path(__file__).parents[1] / "fake_results.py"))
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize(("name", "results"), [("full", FAKE["full"]()), *sorted(FAKE["poor"]().items())])
def test_the_picture_is_well_formed_and_draws_numbers_only(name: str, results: object) -> None:
    root = ElementTree.fromstring(picture(results))
    assert root.tag == f"{SVG}svg"
    assert "nan" not in " ".join(str(value) for node in root.iter() for value in node.attrib.values())


def test_it_shows_a_line_a_band_and_a_verdict_per_capacity() -> None:
    root = ElementTree.fromstring(picture(FAKE["full"]()))
    assert (len(root.findall(f".//{SVG}polyline")), len(root.findall(f".//{SVG}polygon"))) == (3, 3)
    said = [node.text for node in root.iter(f"{SVG}text")]
    assert "α* = 1 [0.18, 5.5], bracketed" in said
    assert "validation error (%)" in said


def test_without_data_it_says_so() -> None:
    assert "not enough data" in picture(FAKE["poor"]()["empty"])


def test_names_are_text() -> None:
    root = ElementTree.fromstring(picture(FAKE["poor"]()["hostile"]))
    assert not list(root.iter(f"{SVG}script"))
    assert not list(root.iter(f"{SVG}img"))


def test_it_is_written_whole_into_a_new_folder(tmp_path: Path) -> None:
    path = write_picture(FAKE["full"](), tmp_path / "docs" / "headline.svg")
    assert path.read_text(encoding="utf-8") == picture(FAKE["full"]())
    assert list(path.parent.iterdir()) == [path]
