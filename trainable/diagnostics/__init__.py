"""What a trained model does beyond its error: each diagnostic by name, computed once at the end of a trial.

Owns the names, and the form of what is found. Refuses to train, to choose, and to know which trial it looks at. Imports
torch only when one is run.
"""

import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from trainable.config import nearest
from trainable.errors import ConfigError, Problem

if TYPE_CHECKING:
    from trainable.data import Source
    from trainable.learner import Learner

DIAGNOSTICS = {
    "calibration": "ECE of equal width and equal mass, signed, with its noise floor; NLL, Brier, entropy; before and after scaling",
    "shrunk_prediction": "accuracy and calibration of {plain, shrunk input} x {T = 1, T = theta_bar}, beside the fitted T*",
    "robustness": "error under FGSM, I-FGSM and PGD in steps of 1/255, white box",
    "between_samples": "miss rate and input-gradient norm on the way from one example to another",
    "jacobian": "Frobenius norm of the input Jacobian, and the terms R1 to R4 of the second-order expansion",
    "memorisation": "error on real and on replaced labels, best and last; reads the test set after every epoch",
}
"""Each with a line of help. `trainable.diagnostics.<name>.diagnose(learner)` computes it; memorisation looks at the epochs'
metrics instead."""


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What one diagnostic found: `values`, one finite number each, named `<diagnostic>/<what>`; `curves`, JSON-able lists
    and mappings that a picture or a table is made of, by the same kind of name."""

    values: dict[str, float] = field(default_factory=dict)
    curves: dict[str, Any] = field(default_factory=dict)


def check(names: Iterable[str], source: "Source | None" = None) -> None:
    """Raises ConfigError, naming each that there is not, with the nearest name; DataError for one that `source` does not allow."""
    names = tuple(names)
    problems = [Problem("diagnostics", name, f"must be of {', '.join(DIAGNOSTICS)}{nearest(str(name), tuple(DIAGNOSTICS))}")
                for name in names if name not in DIAGNOSTICS]
    if problems:
        raise ConfigError(problems)
    if source is not None and "robustness" in names:
        from trainable.diagnostics.robustness import pixel_range
        pixel_range(source)


def diagnose(names: Iterable[str], learner: "Learner", history: Sequence[Mapping[str, float]]) -> Findings:
    """All the named diagnostics of a trained learner, in the order given. The model comes back in eval mode, unchanged.

    `history`: the metrics of each epoch, in order.
    """
    check(names := tuple(names))
    modules = {name: importlib.import_module(f"trainable.diagnostics.{name}") for name in names}
    found = [module.diagnose(history if name == "memorisation" else learner) for name, module in modules.items()]
    return Findings(values={name: value for one in found for name, value in one.values.items()},
                    curves={name: value for one in found for name, value in one.curves.items()})
