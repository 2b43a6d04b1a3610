"""From trials to cells: which trial stands where, averages over repeats, curves, and attacks."""

from types import SimpleNamespace
from typing import Any

import pytest

from sweeps.claims.claim import FIRST, Cell
from sweeps.claims.evidence import SETTLED, gather, settled, transferred
from sweeps.records import ARM, FAILED, FINISHED, LADDER, MEASURE, Row, TrialRecord
from tests.sweeps.fake_trials import trial

ARMS = {"smoothing": {"label_smoothing": 0.1}}
ERROR = Cell(study="s", arm="alpha 0", metric="val/error")


class Study:
    """Two capacities, alphas 0 and 1, one arm."""

    capacities = (SimpleNamespace(label="width=0.5"), SimpleNamespace(label="width=1"))
    measure = SimpleNamespace(alphas=(0.0, 1.0), splits=2, seeds=1, arms=ARMS, num_replicates=2)

    def arm_config(self, capacity: str, chosen: Any, name: str) -> Any:
        return SimpleNamespace(arm_key=lambda: f"{capacity} {name}")


def measured(number: int, value: float, arm: str = "alpha 0", **fields: Any) -> TrialRecord:
    """A finished trial of the measure stage with this validation error; `number` is its split unless told."""
    capacity, alpha = fields.setdefault("capacity", "width=1"), 1.0 if arm == "alpha 1" else 0.0
    own = {"id": number, "split": number, "stage": MEASURE, "state": FINISHED, "metrics": {"val/error": value}, "setting": {},
           "origin": f"{ARM}{arm}" if arm in ARMS else LADDER, "arm_key": f"{capacity} {arm}",
           "config": {"alpha": alpha, "train_size": 100, "val_size": 30, **ARMS.get(arm, {})}}
    return trial(**{**own, **fields})


def cell(**fields: Any) -> Cell:
    return Cell(**{**vars(ERROR), **fields})


def values_of(trials: list[TrialRecord], wanted: Cell, rows: Any = None) -> dict[int, float]:
    return dict(gather(Study(), "s", trials, rows or {}, [wanted]).values(wanted))


def test_a_rung_is_read_split_by_split() -> None:
    trials = [measured(1, 0.25), measured(2, 0.5), measured(3, 0.75, "alpha 1", split=1)]
    assert values_of(trials, ERROR) == {1: 0.25, 2: 0.5}
    assert values_of(trials, cell(arm="alpha 1")) == {1: 0.75}


def test_a_named_arm_is_no_rung() -> None:
    trials = [measured(1, 0.25), measured(2, 0.5, "smoothing", split=1)]
    assert values_of(trials, ERROR) == {1: 0.25}
    assert values_of(trials, cell(arm="smoothing")) == {1: 0.5}


def test_repeats_on_one_split_are_averaged() -> None:
    assert values_of([measured(1, 0.25), measured(2, 0.75, split=1, repeat=1)], ERROR) == {1: 0.5}


def test_capacities_are_the_first_and_the_last() -> None:
    trials = [measured(1, 0.25), measured(2, 0.5, split=1, capacity="width=0.5")]
    assert values_of(trials, ERROR) == {1: 0.25}
    assert values_of(trials, cell(capacity=FIRST)) == {1: 0.5}


def test_a_trial_that_failed_is_absent_and_the_plan_and_overlap_are_known() -> None:
    found = gather(Study(), "s", [measured(1, 0.25), measured(2, 0.5, state=FAILED)], {}, [ERROR, cell(arm="alpha 1")])
    assert dict(found.values(ERROR)) == {1: 0.25}
    assert found.values(cell(arm="alpha 1")) == {}
    assert (found.planned, found.overlap) == (2, 0.3)


def test_a_metric_of_the_last_epoch_is_read_from_its_row() -> None:
    rows = {1: [row(1, 0.5), row(2, 0.125)]}
    assert values_of([measured(1, 0.0, metrics={})], ERROR, rows) == {1: 0.125}


def row(epoch: int, error: float) -> Row:
    return Row(epoch=epoch, at=0.0, seconds=1.0, eval_seconds=0.0, metrics={"val/error": error})


@pytest.mark.parametrize(("errors", "share"), [
    ([0.5, 0.3, 0.1, 0.1], 3 / 4), ([0.1, 0.1, 0.1, 0.1], 1 / 4), ([0.1, 0.5, 0.1, 0.3], 1.0), ([0.12, 0.08, 0.1, 0.1], 1 / 4),
    ([0.1, 0.1, 0.5, 0.1], 1.0), ([0.3], 1.0)])
def test_a_curve_has_settled_where_it_stays_near_its_end(errors: list[float], share: float) -> None:
    rows = [row(epoch, error) for epoch, error in enumerate(errors, start=1)]
    assert settled(rows[::-1]) == share
    assert values_of([measured(1, errors[-1])], cell(metric=SETTLED), {1: rows}) == {1: share}


def test_no_curve_settles_nowhere() -> None:
    assert settled([]) is None


MATRIX = {"models": [{"label": "width=1, attacker"}, {"label": "width=1, alpha 1"}], "clean": [0.1, 0.1],
          "attacks": {"fgsm 16": [[0.9, 0.4], [None, 0.8]]}, "split": 3}


@pytest.mark.parametrize(("metric", "arm", "found"), [
    ("transfer/fgsm 16/attacker", "alpha 1", {3: 0.4}), ("transfer/fgsm 16/attacker", "attacker", {3: 0.9}),
    ("transfer/fgsm 16/alpha 1", "attacker", {}), ("transfer/fgsm 16/nobody", "alpha 1", {}),
    ("transfer/pgd 16/attacker", "alpha 1", {})])
def test_an_attack_is_read_by_source_and_target(metric: str, arm: str, found: dict[int, float]) -> None:
    assert transferred(MATRIX, metric, "width=1", arm) == found
    assert transferred(None, metric, "width=1", arm) == {}
