"""Advice names the settings that bear on a failure, as the study has them, and never one that is fixed already."""

from dataclasses import replace
from typing import Any

import pytest

from sweeps.advice import advice
from sweeps.records import FAILURE_CLASSES
from sweeps.study import Study, load_study


def failures(*kinds: tuple[str, int]) -> list[dict[str, Any]]:
    return [{"class": name, "text": f"why {name}", "count": count} for name, count in kinds]


def study(*overrides: str) -> Study:
    return load_study("smoke", overrides)


def test_each_class_is_counted_once_the_most_frequent_first() -> None:
    found = advice([*failures(("OOM", 1), ("DIVERGED", 2)), {"class": "OOM", "text": "other", "count": 3}], study())
    assert [text.split(":")[0] for text in found] == ["4 x OOM", "2 x DIVERGED"]


@pytest.mark.parametrize("name", FAILURE_CLASSES)
def test_every_class_has_a_way_out(name: str) -> None:
    (text,) = advice(failures((name, 1)), study())
    assert len(text) > 50
    assert f"why {name}" in text or name == "OOM"


@pytest.mark.parametrize(("overrides", "said", "unsaid"), [
    (("train.lr=5",), ("lower train.lr, 5,", "train.warmup_fraction=0.1"), ("train.schedule", "weight_decay")),
    (("space.lr={low: 0.1, high: 30, scale: log}",), ("narrow space.lr, 0.1 to 30",), ("train.lr",)),
    (("train.schedule=constant",), ("train.schedule=cosine",), ()),
    (("train.warmup_fraction=0.2",), ("lower train.lr",), ("train.warmup_fraction",)),
    (("space.weight_decay={high: 1}",), ("less space.weight_decay",), ())])
def test_divergence_is_calmed_by_what_the_study_has_not_done_yet(overrides: tuple[str, ...], said: tuple[str, ...],
                                                                 unsaid: tuple[str, ...]) -> None:
    (text,) = advice(failures(("DIVERGED", 2)), study(*overrides))
    assert all(part in text for part in said), text
    assert not any(part in text for part in unsaid), text


def test_a_lost_worker_is_told_with_its_number_of_tries() -> None:
    few = study()
    few = replace(few, compute=replace(few.compute, retries=4))
    (text,) = advice([{"class": "CRASHED", "text": "its worker process has died", "count": 1}], few)
    assert "died 5 times" in text
    (text,) = advice(failures(("TIMEOUT", 1)), few)
    assert "compute.no_progress_seconds, 3600 s" in text
