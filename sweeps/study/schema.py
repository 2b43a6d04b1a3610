"""The keys of a study file in one table: path, default, allowed values and a line of help for each.

Owns what a single key may hold. Keys that set a field of TrialConfig take default, range and help from there. Refuses
to know how keys depend on each other (study.rules) and what is made of them (study).
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from search_spaces.dimension import SEARCHABLE
from sweeps.records import TRANSFER
from trainable.config import FIELDS, Knob, check_field, knob, nearest
from trainable.diagnostics import DIAGNOSTICS

OBJECTIVES = ("val/error", "val/loss")
SAMPLERS = ("tpe", "gp", "cmaes", "random", "qmc", "grid")
PRUNE_RULES = ("asha", "median", "none")
DEFAULT_ALPHAS = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 32.0)
DIAGNOSTIC_HELP = {**DIAGNOSTICS, TRANSFER: "error under FGSM and PGD made on another arm (black box): every arm on every arm"}
"""What a study may compute of its trained networks: the diagnostics of a trial, and the one that needs all arms at once."""
NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class Key:
    """One key. `complaint` says what is wrong with a value, or None. `field`: the TrialConfig field it sets, if any."""

    path: str
    default: Any
    allowed: str
    help: str
    complaint: Callable[[Any], str | None]
    field: str = ""

    @property
    def section(self) -> str:
        """The path of the section it stands in; '' is the top."""
        return self.path.rpartition(".")[0]

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]


def _field(path: str, name: str) -> Key:
    """A key that sets a field of TrialConfig."""
    def complaint(value: Any) -> str | None:
        problem = check_field(name, value)
        return problem.allowed if problem else None
    spec = knob(name)
    whole = "int" in str(FIELDS[name].type)
    kind = "text" if FIELDS[name].type is str else "a whole number" if whole else "a number"
    default = FIELDS[name].default
    allowed = spec.allowed() if spec.choices else f"{kind} {spec.allowed()}".replace(" any", "")
    allowed += ", or null" if default is None else ""
    return Key(path=path, default=default, allowed=allowed, help=spec.help, field=name, complaint=complaint)


def _own(path: str, default: Any, allowed: str, text: str, check: Callable[[Any], bool]) -> Key:
    """A key of the study itself."""
    return Key(path=path, default=default, allowed=allowed, help=text,
               complaint=lambda value: None if check(value) else f"must be {allowed}")


def _number(path: str, default: Any, spec: Knob, *, kind: type = float, words: tuple[Any, ...] = ()) -> Key:
    """A number in the range of `spec`, or one of `words` (None is written null)."""
    def check(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
            return isinstance(value, str | None) and value in words
        return math.isfinite(value) and spec.contains(value)
    others = "".join(f", or {'null' if word is None else word}" for word in words)
    return _own(path, default, f"a {'whole ' if kind is int else ''}number {spec.allowed()}{others}", spec.help, check)


def _choice(path: str, choices: tuple[str, ...], text: str) -> Key:
    """One of some words, the first by default."""
    allowed = "one of " + ", ".join(choices)
    return Key(path=path, default=choices[0], allowed=allowed, help=text, complaint=lambda value: (
        None if isinstance(value, str) and value in choices else f"must be {allowed}{nearest(str(value), choices)}"))


def _open(path: str, default: Any, kinds: tuple[type, ...], allowed: str, text: str) -> Key:
    """A key whose inside the rules check."""
    return _own(path, default, allowed, text, lambda value: value == default or isinstance(value, kinds))


def _is_name(value: Any) -> bool:
    return value is None or (isinstance(value, str) and NAME_PATTERN.fullmatch(value) is not None)


def _is_root(value: Any) -> bool:
    return value is None or (isinstance(value, str) and 0 < len(value) < 4096)


_LADDER = ", ".join(f"{alpha:g}" for alpha in DEFAULT_ALPHAS)

KEYS: tuple[Key, ...] = (
    _own("name", None, "1 to 64 letters, digits, dots, dashes and underscores, a letter or digit first",
         "name in the ledger, in MLflow and in paths; null: that of the file", _is_name),
    _field("seed", "seed"),
    _field("data.name", "data"),
    _own("data.root", None, "text, or null", "folder of the data, where the dataset needs one", _is_root),
    _own("data.download", False, "true or false", "whether missing data may be downloaded",
         lambda value: isinstance(value, bool)),
    *(_field(f"data.{name}", name) for name in ("label_noise", "train_size", "val_size", "split_kind", "augment")),
    _field("model.name", "model"), _field("model.width", "width"), _field("model.depth", "depth"),
    _open("model.capacity", None, (dict, list),
          "{width: [..]}, {depth: [..]}, {model: [..]}, {epochs: [..]}, a list of steps, or null",
          "the ladder: each step is searched and measured by itself; null: the model alone"),
    *(_field(f"train.{name}", name) for name in SEARCHABLE),
    _open("space", {}, (dict,), "a mapping of axes", "what is searched, and where"),
    _choice("search.sampler", SAMPLERS, "how Optuna chooses settings"),
    _number("search.max_trials", 16, Knob(help="trials per capacity; 0: no search", low=0, high=1e5), kind=int),
    _number("search.max_hours", None, words=(None,),
            spec=Knob(help="trial-hours per capacity, summed over workers", low=0, open_low=True, high=1e6)),
    _choice("search.prune.rule", PRUNE_RULES, "which trials stop early; `prune: none` is short for `{rule: none}`"),
    _number("search.prune.grace", 0.4,
            Knob(help="share of its epochs for which a trial is safe", low=0, open_low=True, high=1)),
    _number("search.prune.reduction", 2, kind=int,
            spec=Knob(help="asha lets one in so many pass each rung", low=2, high=100)),
    _number("search.prune.audit", 0.1,
            Knob(help="share of the trials to be stopped that run on, to see how often stopping is wrong", low=0, high=1)),
    _open("search.first", "auto", (list,), "a list of settings, or auto",
          "settings tried first; auto: plain training and mixup as the literature sets them"),
    _open("measure.alphas", None, (list,), "a list of numbers, 0 among them, or null",
          f"the ladder of alphas; null: {_LADDER}, as far as the space reaches"),
    _number("measure.splits", 4, Knob(help="training splits: they carry the inference", low=2, high=1000), kind=int),
    _number("measure.seeds", 1, Knob(help="repetitions on each split", low=1, high=1000), kind=int),
    _number("measure.redraws", 1, kind=int,
            spec=Knob(help="draws of lambdas and pairings at each split's first seed: what mixing's noise is", low=1, high=1000)),
    _open("measure.until", None, (dict,), "a mapping of first, width, difference, verdict and max_trials, or null",
          "a race: more splits only for arms still tied, until this holds; null: all splits for all"),
    _open("measure.at", "best", (dict,), "a mapping of axes to values, or best",
          "the other axes while alpha is measured"),
    _open("measure.arms", {}, (dict,), "a mapping of names to fields of train and their values",
          "arms beside the ladder: what each changes of its alpha 0, as in `cutmix: {method: cutmix, alpha: 1}`"),
    _choice("objective", OBJECTIVES, "what decides; never a test metric"),
    _number("compute.cpus", 1, Knob(help="processor cores a trial", low=0, open_low=True, high=1024)),
    _number("compute.gpus", "auto", words=("auto",),
            spec=Knob(help="GPUs a trial, or a share of one; auto: a share where there is any", low=0, high=64)),
    _number("compute.max_concurrent", None, kind=int, words=(None,),
            spec=Knob(help="trials at a time; null: all that fit", low=1, high=1e5)),
    _number("compute.retries", 2, kind=int,
            spec=Knob(help="new attempts of a trial whose worker died or hung; lost machines do not count", low=0, high=100)),
    _number("compute.no_progress_seconds", 3600, words=(None,),
            spec=Knob(help="a trial that has not reported for so long is stopped and tried again; null: never",
                      low=0, open_low=True, high=1e7)),
    _number("compute.no_machine_seconds", 600,
            Knob(help="how long a sweep waits where no machine with room for a trial is left", low=0, high=1e7)),
    _open("diagnostics", [], (list,), f"a list of names: {', '.join(DIAGNOSTIC_HELP)}",
          "computed at the end of every trial of the measure stage, and of no other: searches are long and pruned"),
    _number("tolerance", 0.1, Knob(help="share of trials that may fail before the exit code is 3", low=0, high=1)),
)

BY_PATH: dict[str, Key] = {key.path: key for key in KEYS}
SECTIONS: tuple[str, ...] = tuple(dict.fromkeys(key.section for key in KEYS if key.section))
KEY_OF_FIELD: dict[str, Key] = {key.field: key for key in KEYS if key.field}


def children(section: str) -> tuple[str, ...]:
    """Names of the keys and sections directly below a section; '' is the top."""
    depth = section.count(".") + 1 if section else 0
    return tuple(dict.fromkeys(path.split(".")[depth] for path in BY_PATH if not section or path.startswith(f"{section}.")))


def reference() -> str:
    """The table of all keys as markdown."""
    rows = [f"| `{key.path}` | {_shown(key.default)} | {key.allowed} | {key.help} |" for key in KEYS]
    return "\n".join(["| key | default | allowed | meaning |", "|---|---|---|---|", *rows]) + "\n"


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
