"""Black-box attacks: images made to fool one measured arm, judged by every other; a finding of the study as a whole.

Owns which trials take part, their weights in the storage, and the source x target matrix. Refuses to know how an attack
works (trainable.diagnostics.attacks). Imports torch only when a matrix is computed, in `run`: a report reads it from the
ledger. Source: Zhang et al., arXiv 1710.09412, section 3.5 and table 3 b.

Axes: S source model, T target model, B image, C channel, H height, W width.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import fsspec

from sweeps.ledger import Ledger
from sweeps.records import FINISHED, MEASURE, TRANSFER, TRANSFER_REPLICATE, TrialRecord, arm_name, rung_name
from sweeps.storage import weights_path
from sweeps.study import Study
from trainable.config import TrialConfig
from trainable.errors import CheckpointError

if TYPE_CHECKING:
    from torch import Tensor

    from trainable.data import Source
    from trainable.device import Device
    from trainable.diagnostics.attacks import Model

EPSILONS_255 = (4, 16)
"""In 1/255 of the pixels' range, those that `robustness` reports: 4 is that of Zhang et al., 16 one grey level of digits."""
Matrix = dict[str, Any]
"""`models` (key, label, capacity, alpha), `clean` errors by model, `attacks` (`fgsm 4`, ...) -> rows by source of errors by
target, epsilon_255, num_examples, split, repeat, `left_out` (labels of models without weights). None where a pair was not tried."""


def find_transfer(study: Study, ledger: Ledger, study_id: int, source: "Source", storage: str) -> None:
    """Compute the matrix over the weights in the storage, commit it as a finding of the study, then remove the weights.

    Without any weights nothing changes. Pairs that an earlier run of the study compared stay: see `merged`.
    """
    trials = partners(study, ledger.trials(study_id, MEASURE, state=FINISHED))
    states = {trial.key: state for trial in trials if (state := read_weights(storage, study.name, trial.key))}
    fresh = compute(trials, states, source) if states else None
    if fresh is None:
        return
    whole = merged(ledger.study_findings(study_id).get(TRANSFER), fresh)
    there = {model["key"] for model in whole["models"]}
    whole["left_out"] = [label_of(trial) for trial in trials if trial.key not in there]
    ledger.set_findings(study_id, {TRANSFER: whole})
    remove_weights(storage, study.name)


def partners(study: Study, trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The trials that take part, in the order of the study: one replicate of every arm at every capacity."""
    order = {capacity.label: index for index, capacity in enumerate(study.capacities)}
    mine = [trial for trial in trials if trial.replicate == TRANSFER_REPLICATE and trial.stage == MEASURE
            and trial.state == FINISHED]
    return sorted(mine, key=lambda trial: (order.get(trial.capacity, len(order)), trial.number, trial.id))


def label_of(trial: TrialRecord) -> str:
    """`width=1, alpha 8`."""
    return f"{trial.capacity}, {arm_name(trial.origin) or rung_name(float(trial.config['alpha']))}"


def compute(trials: Sequence[TrialRecord], states: Mapping[str, Mapping[str, Any]], source: "Source",
            device: str = "auto") -> Matrix | None:
    """The matrix of those models whose weights are in `states` and fit, on the test images that `robustness` attacks.

    In eval mode and float32; an error is a fraction of the images. None where there is no such model.
    """
    from trainable.device import resolve
    from trainable.diagnostics import robustness
    place = resolve(device)
    first, span = TrialConfig.from_dict(trials[0].config), robustness.pixel_range(source)
    with place.session(first.seed):
        found = [(trial, network(TrialConfig.from_dict(trial.config), states[trial.key], source, place, span))
                 for trial in trials if trial.key in states]
        trials, models = [trial for trial, model in found if model], [model for _, model in found if model]
        if not models:
            return None
        index_V = robustness.draw_subset(first, source)
        smallest = min((TrialConfig.from_dict(trial.config) for trial in trials), key=lambda config: config.batch_size)
        rows = _judged(models, robustness.batches(smallest, source, place, index_V, span))
    clean = rows.pop("clean")[0]
    described = [{"key": trial.key, "label": label_of(trial), "capacity": trial.capacity,
                  "alpha": float(trial.config["alpha"])} for trial in trials]
    return {"models": described, "clean": clean, "attacks": rows, "epsilon_255": list(EPSILONS_255),
            "num_examples": len(index_V), "split": first.split, "repeat": first.repeat, "left_out": []}


def network(config: TrialConfig, state: Mapping[str, Any], source: "Source", place: "Device",
            span: tuple[float, float]) -> "Model | None":
    """A trained network on pixel images in [0, 1], in eval mode; None where the weights are not of this network."""
    from trainable.augment import Normalise
    from trainable.diagnostics.robustness import on_pixels
    from trainable.models import build
    module = place.place_model(build(config, source.shape, source.num_classes))
    try:
        module.load_state_dict(state)
    except (RuntimeError, TypeError):
        return None
    return on_pixels(module.eval().requires_grad_(False), Normalise(source, place.torch_device), span)


def _judged(models: Sequence["Model"], batches: Iterator[tuple["Tensor", "Tensor", "Tensor"]]) -> dict[str, list[list[float]]]:
    """`clean`: one row of errors by model; then of each attack at each strength a row a source."""
    import torch

    from trainable.diagnostics.attacks import PIXEL_STEP, Attack, fgsm, ifgsm, pgd, transfer
    from trainable.metrics import score
    wrong: dict[str, list[Tensor]] = {}
    for images_BCHW, labels_B, start_BCHW in batches:
        made: dict[str, Attack] = {"fgsm": fgsm, "ifgsm": ifgsm, "pgd": partial(pgd, start_BCHW=start_BCHW)}
        clean_TB = torch.stack([score(model, [(images_BCHW, labels_B)])[1] for model in models])
        wrong.setdefault("clean", []).append(clean_TB[None])
        for name, attack in made.items():
            for epsilon in EPSILONS_255:
                rows = [transfer(model, models, images_BCHW, labels_B, epsilon * PIXEL_STEP, attack) for model in models]
                wrong.setdefault(f"{name} {epsilon}", []).append(torch.stack(rows))
    return {name: torch.cat(parts, dim=2).double().mean(dim=2).tolist() for name, parts in wrong.items()}


def merged(known: Matrix | None, fresh: Matrix) -> Matrix:
    """Both matrices in one: a study whose ladder grew has pairs of old models, pairs of new ones, and None across.

    Old weights are gone when new models come. A matrix made otherwise (another epsilon, other images) is replaced.
    """
    fixed = ("epsilon_255", "num_examples", "split", "repeat")
    if known is None or any(known[name] != fresh[name] for name in fixed):
        return dict(fresh)
    models = {model["key"]: model for model in (*known["models"], *fresh["models"])}
    clean: dict[str, float] = {}
    cells: dict[tuple[str, str, str], float] = {}
    for matrix in (known, fresh):
        keys = [model["key"] for model in matrix["models"]]
        clean |= dict(zip(keys, matrix["clean"], strict=True))
        cells |= {(attack, made, judged): error for attack, rows in matrix["attacks"].items()
                  for made, row in zip(keys, rows, strict=True) for judged, error in zip(keys, row, strict=True)}
    return {**fresh, "models": list(models.values()), "clean": [clean[key] for key in models],
            "attacks": {attack: [[cells.get((attack, made, judged)) for judged in models] for made in models]
                        for attack in fresh["attacks"]}}


def read_weights(storage: str, study: str, key: str) -> dict[str, Any] | None:
    """The weights kept of a trial, or None where there are none, or they are damaged. Nothing is unpickled."""
    from trainable.checkpoint import loads
    try:
        filesystem, path = fsspec.url_to_fs(f"{storage}/{weights_path(study, key)}")
        return loads(filesystem.cat_file(path), key)
    except (OSError, CheckpointError):
        return None


def remove_weights(storage: str, study: str) -> None:
    """Remove all weights kept of a study. What cannot be removed only takes room."""
    filesystem, path = fsspec.url_to_fs(f"{storage}/{weights_path(study, '')}")
    with suppress(OSError):
        filesystem.rm(path.rstrip("/"), recursive=True)
