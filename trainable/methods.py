"""The methods: mixup and its relatives, each an arm by name, as one table of what they draw, move and learn from.

Owns which options belong to which method, and at what setting a method is plain training. Refuses to know of tensors,
random streams and losses: trainable.vicinity draws, trainable.mixing moves, trainable.objective learns.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainable.errors import DataError, ModelError

if TYPE_CHECKING:
    from trainable.config import TrialConfig

LOCAL_PAIRINGS = ("permutation", "roll")
"""The partner is in the same minibatch, so a second look at it costs nothing."""

DISTANT_PAIRINGS = ("same_class", "knn")
"""The partner may be any example of the training split, and is loaded beside the minibatch."""

MAX_KNN_EXAMPLES = 20_000
"""Pairing knn compares all pairs of a split; more would cost minutes a trial."""

ROUNDING = 1e-9
"""0.3 of 10 epochs are 3, whatever the last bit says."""

_SMOOTHING = ("label_smoothing", "smoothing_toward", "smoothing_from")
_PAIRS = ("alpha", "lam_per", "pairing", "num_neighbors", "mixing_warmup_epochs", "mixing_off_fraction", *_SMOOTHING)


@dataclass(frozen=True, kw_only=True)
class Method:
    """One row of the table.

    `law`: of lambda, `none`, `symmetric` (Beta(alpha, alpha)) or `tilted` (Beta(alpha + 1, alpha)). `moves`: what happens
    to an input, `nothing`, `blend`, `paste`, `shrink` or `noise`. `learns`: the target, `own` label, `mixed` by lambda,
    that of the `heavier` input, or mixed by `area`. `strength`: the field whose 0 makes it plain training. `shrinks`:
    targets are pulled toward their mean by 1 - theta_bar, as inputs are.
    """

    help: str
    strength: str = "alpha"
    law: str = "none"
    moves: str = "nothing"
    learns: str = "own"
    hidden: bool = False
    shrinks: bool = False
    second_order: bool = False
    options: tuple[str, ...] = ()


METHODS: dict[str, Method] = {
    "mixup": Method(
        help="inputs and labels mixed by lambda ~ Beta(alpha, alpha) (Zhang et al., arXiv 1710.09412, eq. 1)",
        law="symmetric", moves="blend", learns="mixed", options=(*_PAIRS, "lam_range")),
    "erm": Method(help="plain training; what every method is at its null setting", strength=""),
    "input_mixup": Method(
        help="inputs mixed by Beta(alpha, alpha), the label of the heavier one (Zhang et al., table 5)",
        law="symmetric", moves="blend", learns="heavier", options=(*_PAIRS, "lam_range")),
    "label_free_mixup": Method(
        help="inputs mixed by Beta(alpha + 1, alpha), own label; mixup's expected cross-entropy if pairs are mutual",
        law="tilted", moves="blend", learns="own", options=_PAIRS),
    "manifold_mixup": Method(
        help="mixup of a layer drawn each step, the input among them (Verma et al., arXiv 1806.05236)",
        law="symmetric", moves="blend", learns="mixed", hidden=True, options=(*_PAIRS, "lam_range", "mixing_layers")),
    "cutmix": Method(
        help="a box of the partner pasted in, labels by its area (Yun et al., arXiv 1905.04899)",
        law="symmetric", moves="paste", learns="area", options=(*_PAIRS, "lam_range")),
    "label_smoothing": Method(
        help="part of each target spread over the classes; its share given, or 1 - theta_bar of an alpha",
        strength="", options=("alpha", *_SMOOTHING)),
    "shrunk_erm": Method(
        help="plain training on data shrunk to their mean by theta_bar: mixup without its noise (Carratino et al.)",
        moves="shrink", shrinks=True, options=("alpha",)),
    "approximate_mixup": Method(
        help="the second-order expansion of mixup's risk about the shrunk data (Carratino et al., arXiv 2006.06049)",
        moves="shrink", shrinks=True, second_order=True, options=("alpha", "approximate_terms", "num_directions")),
    "noise": Method(
        help="independent Gaussian noise on the normalised input, own label",
        strength="noise_std", moves="noise", options=("noise_std", *_SMOOTHING)),
}

OPTIONS: tuple[str, ...] = tuple(dict.fromkeys(name for method in METHODS.values() for name in method.options))
"""Every field of TrialConfig that belongs to some methods only."""


def misplaced(config: "TrialConfig", defaults: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(field, what is wrong) for each option that means nothing beside the config's other fields."""
    method = METHODS[config.method]
    for name in OPTIONS:
        if name not in method.options and getattr(config, name) != defaults[name]:
            owners = ", ".join(owner for owner, other in METHODS.items() if name in other.options)
            yield name, f"is no option of method {config.method}: must be {defaults[name]}; it belongs to {owners}"
    if config.pairing != "knn" and config.num_neighbors != defaults["num_neighbors"]:
        yield "num_neighbors", f"belongs to pairing knn: must be {defaults['num_neighbors']}"
    if method.hidden and config.pairing in DISTANT_PAIRINGS:
        yield "pairing", f"must be one of {', '.join(LOCAL_PAIRINGS)}: hidden values exist only within a minibatch"
    if config.smoothing_from == "alpha" and config.label_smoothing != 0.0:
        yield "label_smoothing", "must be 0 with smoothing_from alpha, which sets it to 1 - theta_bar(alpha)"
    if config.method == "label_smoothing" and config.smoothing_from == "given" and config.alpha != 0.0:
        yield "alpha", "must be 0 with smoothing_from given; smoothing_from alpha sets the share to 1 - theta_bar(alpha)"
    if method.strength and getattr(config, method.strength) != 0.0:
        left = config.epochs - config.mixing_warmup_epochs
        if left <= config.mixing_off_fraction * config.epochs + ROUNDING:
            name = "mixing_warmup_epochs" if left <= 0 else "mixing_off_fraction"
            yield name, (f"leaves none of {config.epochs} epochs to mix in (mixing_warmup_epochs {config.mixing_warmup_epochs}, "
                         f"mixing_off_fraction {config.mixing_off_fraction:g}); use method erm for that")
    layers = config.mixing_layers
    if layers != "all" and not all(part.strip().isdecimal() for part in layers.split(",")):
        yield "mixing_layers", "must be all, or numbers with commas between, quoted, such as '0,1,2' (0 is the input)"


def latent_layers(config: "TrialConfig", num_latent: int) -> tuple[int, ...]:
    """The layers that may be mixed, ascending: 0 is the input, k the output of the model's k-th of `num_latent` parts.

    Raises ModelError for a layer that the model does not have.
    """
    if config.mixing_layers == "all":
        return tuple(range(num_latent + 1))
    layers = sorted({int(part) for part in config.mixing_layers.split(",")})
    if layers[-1] > num_latent:
        raise ModelError(f"mixing_layers = {config.mixing_layers!r}: must be in [0, {num_latent}], "
                         f"the layers of {config.model} (0 is the input)")
    return tuple(layers)


def check_neighbors(num_examples: int, num_neighbors: int) -> None:
    """Raises DataError when so many examples cannot be compared with each other, or have not so many neighbours."""
    if num_examples > MAX_KNN_EXAMPLES:
        raise DataError(f"pairing = knn: {num_examples} training examples: must be at most {MAX_KNN_EXAMPLES}, since all pairs "
                        "are compared; lower train_size or choose another pairing")
    if num_neighbors >= num_examples:
        raise DataError(f"num_neighbors = {num_neighbors}: must be below {num_examples}, the training examples of a split")


def is_plain(config: "TrialConfig", epoch: int) -> bool:
    """Whether inputs of epoch `epoch` (from 1) are left as they are.

    They are at the null setting (alpha or noise_std 0), in the first `mixing_warmup_epochs`, and in every epoch that
    lies wholly in the last `mixing_off_fraction` of the trial.
    """
    method = METHODS[config.method]
    if method.moves == "nothing" or getattr(config, method.strength) == 0.0:
        return True
    left = config.epochs - epoch + 1
    return epoch <= config.mixing_warmup_epochs or left <= config.mixing_off_fraction * config.epochs + ROUNDING
