"""One trial in this process, as lines of text: for a first look, and for a debugger."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sweeps.study import load_study
from sweeps.study.yaml_source import scalar as read_scalar
from trainable.config import TrialConfig, check_field
from trainable.data import load
from trainable.diagnostics import check
from trainable.errors import ConfigError, Problem

if TYPE_CHECKING:
    from trainable.data import Source

SHOWN = ("train/loss", "train_clean/error", "val/error", "val/loss")


def trial_config(sets: Sequence[str], study: str | None, root: str | None) -> tuple[TrialConfig, "Source"]:
    """The config that `KEY=VALUE` texts describe on top of a study's, and its data. ConfigError names every wrong one."""
    loaded = load_study(study or "digits")
    values: dict[str, Any] = loaded.base.to_dict()
    problems = []
    for text in sets:
        name, equals, value = text.partition("=")
        if not equals:
            problems.append(Problem("--set", text, "must be KEY=VALUE"))
            continue
        values[name] = read_scalar(value)
        problem = check_field(name, values[name])
        problems += [problem] if problem else []
    if problems:
        raise ConfigError(problems)
    config = TrialConfig.from_dict(values)
    return config, load(config.data, root=root or loaded.data_root, seed=config.seed, download=loaded.download)


def diagnostics_of(text: str) -> tuple[str, ...]:
    """The names in `calibration,jacobian`, each once. ConfigError names every one that there is not."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    check(names)
    return names


def run_single(config: TrialConfig, source: "Source", device: str, diagnostics: tuple[str, ...] = ()) -> Iterator[str]:
    """Train, and yield a line an epoch, then one a final metric, those of the diagnostics among them."""
    from trainable.trial import run_trial
    rows = run_trial(config, source, device, diagnostics=diagnostics)
    yield "epoch  " + "  ".join(f"{name:>17}" for name in SHOWN) + "  seconds"
    while True:
        try:
            row = next(rows)
        except StopIteration as stop:
            outcome = stop.value
            break
        yield f"{row.epoch:5d}  " + "  ".join(f"{row.metrics[name]:17.4f}" for name in SHOWN) + f"  {row.seconds:7.2f}"
    yield f"parameters {outcome.num_parameters}"
    yield from (f"{name} {value:.4f}" for name, value in outcome.metrics.items())
