"""The predictions of finished trials as the analysis reads them: each checked for being what its trial wrote, or refused.

Owns the reasons. A file is missing, or stale: of another content than the ledger recorded, of a trial on other data, or in
another form than log-probabilities. Refuses to know what is made of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sweeps.records import TrialRecord
from sweeps.storage import read_array
from trainable.config import digest

TOLERANCE = 0.05
"""How far from 0 the logsumexp of a row may lie. Half precision alone moves it by less than 0.01 (11 bits of a log that is
most where p is least); counts, probabilities and logits are farther off."""


@dataclass(frozen=True)
class StoredPredictions:
    """Reads a trial's predictions from the storage. `data_digest` is that of the study's data; None: not known."""

    storage: str
    data_digest: str | None = None

    def __call__(self, trial: TrialRecord) -> "np.ndarray[Any, Any] | str | None":
        """Log-probabilities (test examples, classes) as stored; None where there are none; a text that says why not else."""
        if not trial.predictions_path:
            return None
        if self.data_digest and not is_key_of(trial.key, trial.config, self.data_digest):
            return "of other data or of a changed configuration"
        array = read_array(self.storage, trial.predictions_path, trial.predictions_digest)
        if array is None:
            there = read_array(self.storage, trial.predictions_path) is not None
            return "not as the trial wrote them" if there else None
        return array if are_log_probabilities(array) else "not log-probabilities, so of another version of this code"


def is_key_of(key: str, config: Mapping[str, Any], data_digest: str) -> bool:
    """Whether a trial's key names this configuration, as it is recorded, on these data (see TrialConfig.trial_key)."""
    fields = {name: value for name, value in config.items() if name != "redraw" or value}
    return digest({**fields, "data_digest": data_digest}) == key


def are_log_probabilities(array: "np.ndarray[Any, Any]") -> bool:
    """Whether each row holds logs that add up to one, as far as half precision can tell. NaN is no log-probability."""
    if array.ndim != 2 or not np.issubdtype(array.dtype, np.floating):
        return False
    with np.errstate(divide="ignore"):
        sums_N = np.log(np.exp(array.astype(np.float32)).sum(axis=1))
    return bool((np.abs(sums_N) < TOLERANCE).all())
