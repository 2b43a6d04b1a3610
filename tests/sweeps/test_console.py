"""Tables that fit: side by side, folded, or a line for each cell, but never letters under letters."""

import pytest

from sweeps import console

NUMBERS = [{"capacity": "width=0.25", "val error %": "91.0 [27.8, 100.0]", "test error %": "90.2 [61.4, 100.0]", "n": 2, "no": ""}]
SENTENCES = [{"class": "DIVERGED", "text": "epoch 3: train/loss = nan: must be finite and at most 1e+06", "count": 4}]


def shown(rows: list[dict[str, object]], width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setattr(console.out, "_width", width)
    console.show_table("a table", rows)
    return capsys.readouterr().out


@pytest.mark.parametrize("width", [40, 60, 80, 140, 200])
@pytest.mark.parametrize("rows", [NUMBERS, SENTENCES], ids=["numbers", "sentences"])
def test_every_short_cell_stays_in_one_piece(rows: list[dict[str, object]], width: int, monkeypatch: pytest.MonkeyPatch,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(rows, width, monkeypatch, capsys)
    for row in rows:
        for name, value in row.items():
            assert name in text or not value
            assert len(str(value)) > 20 or str(value) in text


def test_a_table_too_narrow_to_fold_is_a_line_for_each_cell(monkeypatch: pytest.MonkeyPatch,
                                                            capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(NUMBERS, 40, monkeypatch, capsys).splitlines() == [
        "a table", "  capacity: width=0.25", "    val error %: 91.0 [27.8, 100.0]", "    test error %: 90.2 [61.4, 100.0]",
        "    n: 2"]


def test_sentences_are_folded_in_a_frame_while_that_can_be_read(monkeypatch: pytest.MonkeyPatch,
                                                               capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(SENTENCES, 44, monkeypatch, capsys).splitlines()
    assert max(map(len, lines)) <= 44
    assert len(lines) > 5
