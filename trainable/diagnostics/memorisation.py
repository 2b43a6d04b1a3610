"""Memorisation: what training on wrong labels did to the test error, early, at the best epoch and at the end.

Owns the summary of the epochs' metrics as Zhang et al. report it (arXiv 1710.09412, table 2). Refuses to choose anything:
the best epoch by the test set is what an oracle would have kept, is named so, and stands beside the honest one.
"""

import statistics
from collections.abc import Mapping, Sequence

from trainable.diagnostics import Findings

LAST_EPOCHS = 10
"""The ablation of Zhang et al. (table 5) reports the median over so many last epochs."""


def diagnose(history: Sequence[Mapping[str, float]]) -> Findings:
    """From the metrics of each epoch, in order; all are errors, fractions.

    `best_oracle`: lowest test error of any epoch, which is how the source picks "best". `best_by_validation`: the test error
    at the first epoch of lowest validation error. `last`, and `last_10_median`. `real`, `corrupt`: error of the last epoch on
    kept and on replaced training labels, where there are any (a low `corrupt` is memorisation), on the whole split. Curves: all
    three by epoch, those of training labels on a fixed part of the split (see evaluation.measure_epoch) but at the last.
    """
    test = [epoch["oracle/test_error"] for epoch in history if "oracle/test_error" in epoch]
    values: dict[str, float] = {}
    curves: dict[str, Sequence[float | None]] = {"memorisation/test_error": test}
    if len(test) == len(history):  # else the trial began before memorisation was asked for
        chosen = min(range(len(history)), key=lambda number: history[number]["val/error"])
        values = {"memorisation/best_oracle": min(test), "memorisation/best_by_validation": test[chosen],
                  "memorisation/last": test[-1], "memorisation/last_10_median": statistics.median(test[-LAST_EPOCHS:])}
    for kind in ("real", "corrupt"):
        name = f"train_{kind}/error"
        if name in history[-1]:
            values[f"memorisation/{kind}"] = history[-1][name]
            curves[f"memorisation/{kind}_error"] = [epoch.get(name) for epoch in history]
    return Findings(values=values, curves=curves)
