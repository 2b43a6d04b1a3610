"""Study: one question to the data, as a study file asks it.

Owns the checked, frozen form of a study file, how settings become trial configurations, and what may not change once a
study has begun. Refuses to know which trials have run.
"""

import difflib
import os.path
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from search_spaces import Capacity, SearchSpace, ladder_spec
from search_spaces.dimension import SEARCHABLE
from sweeps.study.arms import ARMS, arm_setting, arms_of
from sweeps.study.first import literature_settings
from sweeps.study.methods import METHOD_RULES
from sweeps.study.needs import NEEDS
from sweeps.study.overrides import apply_overrides
from sweeps.study.reader import clean, raise_problems, read_values
from sweeps.study.rules import RULES, Parts, apply_rules, assemble, settings_of
from sweeps.study.schema import NAME_PATTERN, children
from sweeps.study.until import UNTIL, Until, until_of
from sweeps.study.yaml_source import Document, read_document, write_document
from trainable.config import TrialConfig
from trainable.errors import ConfigError, Problem, StudyError

STUDIES = Path(__file__).parents[1] / "studies"
"""Where the ready studies lie."""


@dataclass(frozen=True, kw_only=True)
class Prune:
    """Which trials are stopped early: `asha`, `median` or `none`. `grace` is a share of a trial's own epochs.

    `audit`: the share of the trials to be stopped that run on (see sweeps.sweep.is_audited).
    """

    rule: str
    grace: float
    reduction: int
    audit: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Search:
    """The search of one capacity. `max_hours` are trial-hours summed over workers; `first` are settings tried first."""

    sampler: str
    max_trials: int
    max_hours: float | None
    prune: Prune
    first: tuple[dict[str, Any], ...]


@dataclass(frozen=True, kw_only=True)
class Measure:
    """The measure stage: `alphas`, ascending from 0, x `splits` x `seeds`, `at` "best" or values of the other axes.

    `redraws` of the mixing are made of each split's first seed: see `num_replicates`.
    `arms` are measured beside the ladder: name -> what the arm sets (see sweeps.study.arms). `until`: a race, which may end
    before all of it has run; None: no race.
    """

    alphas: tuple[float, ...]
    splits: int
    seeds: int
    at: str | dict[str, Any]
    arms: dict[str, dict[str, Any]] = field(default_factory=dict)
    redraws: int = 1
    until: Until | None = None

    @property
    def num_replicates(self) -> int:
        """Replicates of every rung and arm: on each split every seed once, and the first seed `redraws` times.

        The staggered nested design (Bainbridge 1965): the fewest trials a split, seeds + redraws - 1, that tell the noise
        of mixing from that of initialisation; redrawing every seed would take seeds x redraws.
        """
        return self.splits * (self.seeds + self.redraws - 1)

    @property
    def num_trials(self) -> int:
        """Trials at each capacity: every rung and every arm with every replicate."""
        return (len(self.alphas) + len(self.arms)) * self.num_replicates


@dataclass(frozen=True, kw_only=True)
class Compute:
    """Resources of one trial, how many run at a time (None: all that fit), new attempts after a crash, and how long to wait
    for a trial's next report (None: for ever) and for a machine where none is left."""

    cpus: float
    gpus: float | str
    max_concurrent: int | None
    retries: int
    no_progress_seconds: float | None = None
    no_machine_seconds: float = 600.0


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study file, checked. `base` holds data, model and training; searched axes have their defaults in it."""

    name: str
    seed: int
    base: TrialConfig
    data_root: str | None
    download: bool
    capacities: tuple[Capacity, ...]
    space: SearchSpace
    search: Search
    measure: Measure
    objective: str
    compute: Compute
    tolerance: float
    diagnostics: tuple[str, ...] = ()
    path: str = field(default="", compare=False)

    def capacity(self, label: str) -> Capacity:
        """The step of the ladder with this label. Raises KeyError."""
        return {capacity.label: capacity for capacity in self.capacities}[label]

    def config(self, setting: Mapping[str, Any], capacity: Capacity | str, split: int = 0, repeat: int = 0,
               redraw: int = 0) -> TrialConfig:
        """The trial of `setting` at a capacity on one replicate. Axes the setting leaves out keep the base's value."""
        step = self.capacity(capacity) if isinstance(capacity, str) else capacity
        return replace(self.base, **{**step.fields, **setting}, split=split, repeat=repeat, redraw=redraw)

    def arm_setting(self, chosen: Mapping[str, Any], name: str) -> dict[str, Any]:
        """What the arm of this name is run with where `chosen` is the measured setting of the searched axes."""
        return arm_setting(self.space, chosen, self.measure.arms[name])

    def arm_config(self, capacity: str, chosen: Mapping[str, Any], name: str) -> TrialConfig | None:
        """The arm of this name at a capacity and a measured setting; None where what it sets contradicts that setting."""
        try:
            return self.config(self.arm_setting(chosen, name), capacity)
        except ConfigError:
            return None

    def to_dict(self) -> dict[str, Any]:
        """The whole study file, every default filled in, as plain JSON-able values."""
        base = self.base.to_dict()
        unsearched = [name for name in SEARCHABLE if name not in self.space or self.space[name].when]
        return {
            "name": self.name, "seed": self.seed,
            "data": {"name": base["data"], "root": self.data_root, "download": self.download,
                     **{name: base[name] for name in children("data") if name in base}},
            "model": {"name": base["model"], "width": base["width"], "depth": base["depth"],
                      "capacity": ladder_spec(self.capacities)},
            "train": {name: base[name] for name in unsearched}, "space": self.space.to_spec(),
            "search": {**asdict(self.search), "first": [dict(setting) for setting in self.search.first]},
            "measure": {**asdict(self.measure), "alphas": list(self.measure.alphas),
                        "until": self.measure.until and self.measure.until.to_dict()},
            "objective": self.objective, "compute": asdict(self.compute), "tolerance": self.tolerance,
            "diagnostics": list(self.diagnostics),
        }

    def to_yaml(self) -> str:
        """`to_dict` as the text of a study file, which loads back to an equal study."""
        return write_document(self.to_dict())

    def identity(self) -> dict[str, Any]:
        """What may not change once the study has begun: what a trial is, and how settings are chosen.

        Left out, so that a resumed study may change it: budgets (trials, hours, alphas, arms, splits, seeds), the audit of
        pruning, where the data lie, resources, retries, diagnostics and tolerance. Equal identities are equal after a way
        through JSON.
        """
        whole = self.to_dict()
        del whole["search"]["prune"]["audit"]
        return {
            **{name: whole[name] for name in ("name", "seed")},
            "data": {name: value for name, value in whole["data"].items() if name not in ("root", "download")},
            **{name: whole[name] for name in ("model", "train", "space")},
            "search": {name: whole["search"][name] for name in ("sampler", "prune", "first")},
            "measure": {"at": whole["measure"]["at"]}, "objective": whole["objective"],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], overrides: Sequence[str] = ()) -> "Study":
        """The study that `to_dict` describes, as a ledger keeps it, with overrides applied. Raises StudyError."""
        document = Document("recorded study", data=deepcopy(dict(values)))
        apply_overrides(document, overrides)
        return _build(document, stem="")


def load_study(path_or_name: str | Path, overrides: Sequence[str] = ()) -> Study:
    """The study in a file, or the ready study of that name, with `section.key=value` overrides applied.

    Raises StudyError with every problem, one a line: `file:line: key = value: what is allowed`.
    """
    path = _find(str(path_or_name))
    document = read_document(path)
    apply_overrides(document, overrides)
    return _build(document, path.stem)


def studies_shipped() -> dict[str, str]:
    """The ready studies: name -> what each asks, which is the first line of its file."""
    paths = sorted(STUDIES.glob("*.yaml"))
    return {path.stem: path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ") for path in paths}


def _find(wanted: str) -> Path:
    ready, path = tuple(studies_shipped()), Path(wanted)
    if wanted in ready:
        return STUDIES / f"{wanted}.yaml"
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1 or os.path.isfile(wanted):
        return path
    close = difflib.get_close_matches(wanted, ready, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise StudyError(f"{clean(wanted)}: is no study; give the path of a .yaml file or one of {', '.join(ready)}{hint}")


def _build(document: Document, stem: str) -> Study:
    """The study of a document. Raises StudyError with every problem of it."""
    reading = read_values(document)
    parts = assemble(reading)
    apply_rules(parts, (*RULES, *ARMS, *UNTIL, *NEEDS, *METHOD_RULES))
    name = reading.values["name"] or stem
    if not NAME_PATTERN.fullmatch(name) and reading.is_sound("name"):
        reading.problems.append(Problem("name", name, "must be given where the name of the file is not a valid one"))
    raise_problems(document, reading.problems)
    return _study(parts, name, document.source)


def _study(parts: Parts, name: str, path: str) -> Study:
    first = [] if parts["search.sampler"] == "grid" else literature_settings(parts.space, parts.base)
    if parts["search.first"] != "auto":  # a grid has no room for settings outside it
        first = settings_of(parts, "search.first")
    at = parts["measure.at"]
    keys = ("sampler", "max_trials", "max_hours")
    return Study(
        name=name, seed=parts["seed"], base=parts.base, data_root=parts["data.root"], download=parts["data.download"],
        capacities=parts.capacities, space=parts.space, objective=parts["objective"], tolerance=parts["tolerance"],
        diagnostics=tuple(parts["diagnostics"]), path=path,
        search=Search(**{key: parts[f"search.{key}"] for key in keys}, first=tuple(first),
                      prune=Prune(**{key: parts[f"search.prune.{key}"] for key in ("rule", "grace", "reduction", "audit")})),
        measure=Measure(alphas=parts.alphas, splits=parts["measure.splits"], seeds=parts["measure.seeds"],
                        redraws=parts["measure.redraws"], until=until_of(parts),
                        at=at if isinstance(at, str) else settings_of(parts, "measure.at"), arms=arms_of(parts)),
        compute=Compute(**{key: parts[f"compute.{key}"] for key in (
            "cpus", "gpus", "max_concurrent", "retries", "no_progress_seconds", "no_machine_seconds")}))
