"""TrialConfig: everything that determines the numbers of one trial, each knob with its unit, range and help.

The single source of every bound: search spaces, the study parser and the command line read the ranges from here.
Refuses to know where data lies, which machine runs the trial, or what a sweep is.
"""

import dataclasses
import difflib
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainable.errors import ConfigError, Problem
from trainable.methods import METHODS, misplaced

REPLICATE_FIELDS = ("split", "repeat", "redraw")
"""The fields that say *which repetition* of an arm a trial is; all others make up the arm."""


@dataclass(frozen=True, kw_only=True)
class Knob:
    """Range, unit and help of one field. `low` and `high` are included unless `open_low` / `open_high`."""

    help: str
    unit: str = ""
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    open_high: bool = False
    choices: tuple[str, ...] = ()

    def allowed(self) -> str:
        """The range in words, for error messages and the generated reference."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if math.isinf(self.low) and math.isinf(self.high):
            return "any"
        left, right = "(" if self.open_low else "[", ")" if self.open_high else "]"
        return f"in {left}{self.low:g}, {self.high:g}{right}" + (f" {self.unit}" if self.unit else "")

    def contains(self, value: float) -> bool:
        above = value > self.low if self.open_low else value >= self.low
        below = value < self.high if self.open_high else value <= self.high
        return above and below


def _knob(default: Any, **spec: Any) -> Any:
    return dataclasses.field(default=default, metadata={"knob": Knob(**spec)})


@dataclass(frozen=True, kw_only=True)
class TrialConfig:
    """One trial: an arm (every field but `split`, `repeat` and `redraw`) run with one replicate (those three).

    Raises ConfigError, listing every field that is out of range, when it is made.
    """

    data: str = _knob("digits", help="dataset, by its name in the registry")
    train_size: int | None = _knob(None, help="training examples a split; null: all that validation leaves",
                                   unit="examples", low=2, high=1e9)
    val_size: int | None = _knob(None, help="validation examples a split; null: a fifth of the pool",
                                 unit="examples", low=1, high=1e9)
    split_kind: str = _knob("holdout", help="holdout: each split drawn afresh from the pool; disjoint: splits share nothing",
                            choices=("holdout", "disjoint"))
    label_noise: float = _knob(0.0, help="share of training labels replaced by uniform random ones",
                               low=0.0, high=1.0)
    augment: str = _knob("auto", help="auto: what is standard for the dataset",
                         choices=("auto", "none", "crop_flip"))
    model: str = _knob("convnet", help="model family, or any torchvision classifier by name")
    width: float = _knob(1.0, help="width multiplier of the family", low=0.0, open_low=True, high=64.0)
    depth: int | None = _knob(None, help="depth; null: the family's own", unit="layers", low=1, high=1000)
    method: str = _knob("mixup", help="mixup or one of its relatives", choices=tuple(METHODS))
    alpha: float = _knob(0.0, help="lambda ~ Beta(alpha, alpha); 0 is plain training (ERM)", low=0.0, high=1e6)
    lam_per: str = _knob("batch", help="one lambda a minibatch, or one a sample", choices=("batch", "sample"))
    lam_range: str = _knob("full", help="full: lambda in [0, 1]; upper: folded into [1/2, 1], so that no partner outweighs",
                           choices=("full", "upper"))
    pairing: str = _knob("permutation", help="partner: by permutation or roll of the minibatch, any of the class, or a near one",
                         choices=("permutation", "roll", "same_class", "knn"))
    num_neighbors: int = _knob(10, help="nearest neighbours that pairing knn chooses among", unit="examples", low=1, high=1e5)
    mixing_layers: str = _knob("all", help="layers that manifold_mixup chooses among: all, or numbers such as 0,1; 0 is the input")
    mixing_warmup_epochs: int = _knob(0, help="first epochs without mixing", unit="epochs", low=0, high=1e5)
    mixing_off_fraction: float = _knob(0.0, help="last share of the trial without mixing", low=0.0, high=1.0)
    label_smoothing: float = _knob(0.0, help="share of each target spread over the classes",
                                   low=0.0, high=1.0, open_high=True)
    smoothing_toward: str = _knob("uniform", help="what targets are smoothed toward: all classes alike, or the classes' "
                                  "shares in the training labels", choices=("uniform", "marginal"))
    smoothing_from: str = _knob("given", help="given: label_smoothing as it stands; alpha: 1 - theta_bar(alpha), what mixup does",
                                choices=("given", "alpha"))
    approximate_terms: str = _knob("no_curvature", help="terms of approximate_mixup: without R2, the curvature of the network, "
                                   "or all; R2 makes training unstable", choices=("no_curvature", "all"))
    num_directions: int = _knob(1, help="random directions a step of approximate_mixup", low=1, high=100)
    noise_std: float = _knob(0.0, help="standard deviation of method noise, in the normalised input's units", low=0.0, high=1e3)
    weight_decay: float = _knob(1e-4, help="decay of weights (not of biases and normalisation)", low=0.0, high=10.0)
    dropout: float = _knob(0.0, help="probability of dropping a unit", low=0.0, high=1.0, open_high=True)
    optimizer: str = _knob("sgd", help="sgd (with momentum) or adamw", choices=("sgd", "adamw"))
    lr: float = _knob(0.1, help="peak learning rate", low=0.0, open_low=True, high=1000.0)
    momentum: float = _knob(0.9, help="momentum of sgd; beta1 of adamw", low=0.0, high=1.0, open_high=True)
    schedule: str = _knob("cosine", help="shape of the learning rate over the trial's own epochs",
                          choices=("cosine", "step", "constant"))
    warmup_fraction: float = _knob(0.0, help="share of the trial with a linearly rising learning rate",
                                   low=0.0, high=1.0, open_high=True)
    batch_size: int = _knob(128, help="examples a step", unit="examples", low=1, high=1e7)
    epochs: int = _knob(30, help="passes over the training split", unit="epochs", low=1, high=1e5)
    precision: str = _knob("float32", help="arithmetic of forward and backward", choices=("float32", "bfloat16"))
    seed: int = _knob(0, help="root of every random stream", low=0, high=2**63 - 1)
    split: int = _knob(0, help="which training split", low=0, high=1e6)
    repeat: int = _knob(0, help="which repetition on that split: new weights, order, pairings and lambdas", low=0, high=1e6)
    redraw: int = _knob(0, help="which redraw of pairings and lambdas at equal weights and order", low=0, high=1e6)

    def __post_init__(self) -> None:
        problems = [problem for field in dataclasses.fields(self)
                    if (problem := check_field(field.name, getattr(self, field.name)))]
        if problems:
            raise ConfigError(problems)
        for field in dataclasses.fields(self):  # 3 and 3.0 are one setting, so they must be one digest
            if field.type is float:
                object.__setattr__(self, field.name, float(getattr(self, field.name)))
        if self.mixing_layers.replace(",", "").replace(" ", "").isdecimal():  # "1, 0,1" and "0,1" are one setting too
            layers = sorted({int(part) for part in self.mixing_layers.split(",") if part.strip()})
            object.__setattr__(self, "mixing_layers", ",".join(map(str, layers)))
        wrong = [Problem(name, getattr(self, name), text) for name, text in misplaced(self, DEFAULTS)]
        if wrong:
            raise ConfigError(wrong)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-able values, in field order."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrialConfig":
        """A config from plain values. Raises ConfigError naming every unknown field (with the nearest name) and bad value."""
        problems = [problem for name, value in values.items() if (problem := check_field(name, value))]
        if problems:
            raise ConfigError(problems)
        return cls(**values)

    def arm(self) -> dict[str, Any]:
        """The setting without its replicate."""
        return {name: value for name, value in self.to_dict().items() if name not in REPLICATE_FIELDS}

    def arm_key(self) -> str:
        """16 hex digits that name the arm."""
        return digest(self.arm())

    def trial_key(self, data_digest: str) -> str:
        """16 hex digits that name the trial: the same key means the same numbers (on one device and library set).

        A first draw is named without `redraw`, as trials were before there was such a field, so that they keep their keys.
        """
        fields = self.to_dict()
        if fields["redraw"] == 0:
            del fields["redraw"]
        return digest({**fields, "data_digest": data_digest})


def digest(value: object) -> str:
    """16 hex digits of the canonical JSON of `value`."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


FIELDS: dict[str, dataclasses.Field[Any]] = {field.name: field for field in dataclasses.fields(TrialConfig)}
DEFAULTS: dict[str, Any] = {name: field.default for name, field in FIELDS.items()}


def knob(name: str) -> Knob:
    """The range, unit and help of a field. Raises KeyError for a name that is not a field."""
    found: Knob = FIELDS[name].metadata["knob"]
    return found


def nearest(name: str, names: Mapping[str, object] | tuple[str, ...] | list[str]) -> str:
    """'; did you mean X?' when a name is close to one of `names`, else ''."""
    close = difflib.get_close_matches(name, list(names), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def check_field(name: str, value: object) -> Problem | None:
    """What is wrong with this value for this field, or None. Never clamps or rounds."""
    if name not in FIELDS:
        return Problem(name, value, "no such field" + (nearest(name, FIELDS) or f"; the fields are {', '.join(FIELDS)}"))
    field, spec = FIELDS[name], knob(name)
    if value is None:
        return None if "None" in str(field.type) else Problem(name, value, f"must not be empty; {spec.allowed()}")
    kind: type = str if field.type is str else float if field.type is float else int
    if isinstance(value, bool) or not isinstance(value, (int, float) if kind is float else kind):
        wanted = {str: "text", float: "a number", int: "a whole number"}[kind]
        return Problem(name, value, f"must be {wanted} {spec.allowed()}".replace(" any", ""))
    if spec.choices and value not in spec.choices:
        return Problem(name, value, f"must be {spec.allowed()}{nearest(str(value), spec.choices)}")
    if isinstance(value, int | float) and not (math.isfinite(value) and spec.contains(value)):
        return Problem(name, value, f"must be {spec.allowed()}")
    return None
