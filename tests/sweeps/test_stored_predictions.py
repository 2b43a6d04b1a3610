"""Predictions as the analysis gets them: what a trial wrote, or the reason why not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sweeps.records import FINISHED, MEASURE, TrialRecord
from sweeps.storage import write_array
from sweeps.stored_predictions import StoredPredictions, are_log_probabilities
from trainable.config import TrialConfig

CONFIG = TrialConfig(alpha=1.0, split=1)
SOFT = np.log(np.random.default_rng(0).dirichlet(np.full(10, 0.05), size=200).clip(1e-30)).astype(np.float16)


def stored(place: Path, array: np.ndarray = SOFT, config: TrialConfig = CONFIG) -> TrialRecord:
    digest = write_array(str(place), "predictions/s/k.npy", array)
    return TrialRecord(
        id=1, study_id=1, key=config.trial_key("data"), stage=MEASURE, number=0, capacity="width=1", arm_key="", split=1,
        repeat=0, config=config.to_dict(), setting={}, origin="ladder", brain={}, state=FINISHED, failure_class=None,
        failure_text=None, metrics={}, num_parameters=1, predictions_path="predictions/s/k.npy", predictions_digest=digest,
        provenance={}, last_epoch=1, created_at=0.0, started_at=0.0, ended_at=0.0, revision=1)


@pytest.mark.parametrize("config", [CONFIG, replace(CONFIG, redraw=2)])
@pytest.mark.parametrize("data_digest", ["data", None])
def test_what_the_trial_wrote_is_read(tmp_path: Path, config: TrialConfig, data_digest: str | None) -> None:
    found = StoredPredictions(str(tmp_path), data_digest)(stored(tmp_path, config=config))
    assert np.array_equal(found, SOFT)


def test_a_record_from_before_redraws_is_known_by_its_key(tmp_path: Path) -> None:
    trial = stored(tmp_path)
    del trial.config["redraw"]
    assert isinstance(StoredPredictions(str(tmp_path), "data")(trial), np.ndarray)


def test_what_is_not_there_is_none(tmp_path: Path) -> None:
    trial = stored(tmp_path)
    assert StoredPredictions(str(tmp_path))(replace(trial, predictions_path=None)) is None
    (tmp_path / "predictions/s/k.npy").unlink()
    assert StoredPredictions(str(tmp_path))(trial) is None


def test_what_is_stale_is_refused_with_the_reason(tmp_path: Path) -> None:
    load, trial = StoredPredictions(str(tmp_path), "data"), stored(tmp_path)
    assert "other data" in StoredPredictions(str(tmp_path), "changed")(trial)
    assert "other data" in load(replace(trial, config={**trial.config, "alpha": 2.0}))
    assert "as the trial wrote" in load(replace(trial, predictions_digest="0" * 16))
    for other in (np.exp(SOFT), SOFT + np.float16(1), SOFT[0], np.zeros((4, 3), dtype=np.int8)):
        assert "another version" in load(stored(tmp_path, other))


def test_half_precision_and_certainty_pass_for_log_probabilities() -> None:
    sure = np.full((3, 4), -np.inf, dtype=np.float16)
    sure[:, 1] = 0.0
    uniform = np.full((2, 1000), -np.log(1000), dtype=np.float16)
    assert all(are_log_probabilities(array) for array in (sure, uniform, SOFT))
    assert not are_log_probabilities(np.full((2, 2), np.nan))
