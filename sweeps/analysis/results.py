"""The shapes of an answer: what the analysis returns and every reader (page, table, MLflow) shows.

Errors are fractions in [0, 1]; losses are in nats; times are unix seconds; alphas are Beta(alpha, alpha) parameters.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweeps.analysis.findings import StudyFindings
    from sweeps.analysis.pruning import PruningAudit

NO_LADDER = "no ladder"
"""The verdict on a sweet spot where alpha = 0 alone was measured, beside named arms."""


@dataclass(frozen=True)
class Estimate:
    """A number with its interval at the study's level; the interval is None where the data cannot give one."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class SplitsNeeded:
    """A number of splits with its 80 % interval; None stands for more than 200."""

    value: int | None
    low: int | None
    high: int | None


@dataclass(frozen=True, kw_only=True)
class Power:
    """How many splits would exclude one end of the ladder, both ends, and all rungs but the best; None: done already."""

    one_end: SplitsNeeded | None
    bracketed: SplitsNeeded | None
    single: SplitsNeeded | None


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A curve through the risks of the rungs, at places even in epsilon from the first rung to the last, and its band.

    The band is pointwise: at each place an interval of the mean risk there, at the level of the sweet spot.
    """

    epsilons: tuple[float, ...]
    values: tuple[float, ...]
    lows: tuple[float, ...]
    highs: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Refined:
    """alpha* between the rungs, from a curve that fits them, cut to the hull of the confidence set; with its interval."""

    alpha: float
    low: float
    high: float
    method: str
    curve: Curve


@dataclass(frozen=True, kw_only=True)
class SweetSpot:
    """Where alpha's sweet spot lies at one capacity: the confidence set of the best rung and its hull.

    `alpha` is the best rung of the ladder; `low` and `high` the hull in alpha, reaching halfway (in epsilon) to the
    neighbouring rungs. `verdict`: bracketed, edge, flat, not enough data, or no ladder. `gain_over_erm` is
    risk(ERM) - risk(alpha). `refined` is None where no curve may be trusted; `why_not_refined` then says why.
    """

    alpha: float
    alphas_in_set: tuple[float, ...]
    low: float
    high: float
    verdict: str
    level: float
    gain_over_erm: Estimate | None
    p_beats_erm: float | None
    num_splits: int
    advice: str
    power: Power | None = None
    refined: Refined | None = None
    why_not_refined: str = ""


@dataclass(frozen=True, kw_only=True)
class ClassParts:
    """Bias and variance over the test examples of one true class, `label`."""

    label: int
    num_examples: int
    bias: Estimate | None
    variance: Estimate | None


@dataclass(frozen=True, kw_only=True)
class Decomposition:
    """Bias and variance of one loss, per test example on average; intervals are over splits and need three of them.

    `variance` is that over training splits, seeds and mixing, None with fewer than two splits. Its parts are unclipped, so
    one may come out negative: `data` (splits), `init` (seeds on one split: weights, order, and mixing too where `mixing` is
    None), `mixing` (redraws of a seed); None where splits, seeds or redraws do not repeat. `num_seeds` are over all splits.
    """

    bias: Estimate | None
    variance: Estimate | None
    init: Estimate | None
    data: Estimate | None
    num_splits: int
    num_models: int
    mixing: Estimate | None = None
    num_seeds: int = 0
    by_class: tuple[ClassParts, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AlphaPoint:
    """One rung of the ladder at one capacity, averaged over splits. `missing`: planned trials without a result.

    `decompositions`: squared error and KL, where there are predictions of two models.
    """

    alpha: float
    epsilon: float
    num_trials: int
    num_splits: int
    missing: int
    val_error: Estimate
    val_loss: Estimate
    test_error: Estimate
    test_loss: Estimate
    train_clean_error: Estimate
    train_clean_loss: Estimate
    gap_error: Estimate
    bias2: Estimate | None
    variance: Estimate | None
    kl_bias: Estimate | None
    kl_variance: Estimate | None
    decompositions: "tuple[Decomposition, Decomposition] | tuple[()]" = ()


@dataclass(frozen=True, kw_only=True)
class Slopes:
    """Change of bias and variance of the objective's decomposition per unit of epsilon, over the ladder, on test predictions.

    `cancel`: the alpha where the two slopes cancel, None where that is not within the ladder; `text` says it in a sentence.
    """

    bias: Estimate
    variance: Estimate
    cancel: Estimate | None
    text: str


@dataclass(frozen=True, kw_only=True)
class ArmResult:
    """A rung of the ladder or a named arm, beside all others of its capacity, averaged over splits.

    `sets` is what it changes of the measured setting at alpha 0. `difference` is its risk minus that of alpha 0, paired by
    split: negative is better; None for alpha 0 itself. `in_set`: whether it cannot be told from the best; None where that
    is not judged, since replicates are `missing` or the data are too few. `same_as`: an earlier one with the same trials.
    """

    name: str
    sets: dict[str, Any]
    is_rung: bool
    num_trials: int
    num_splits: int
    missing: int
    val_error: Estimate
    val_loss: Estimate
    test_error: Estimate
    difference: Estimate | None
    in_set: bool | None
    same_as: str = ""


@dataclass(frozen=True, kw_only=True)
class CapacityResult:
    """Everything about one capacity. `setting` holds the knobs its ladder was measured at.

    `arms`: rungs and named arms side by side, where the study names arms.
    """

    capacity: str
    num_parameters: int | None
    setting: dict[str, Any]
    points: tuple[AlphaPoint, ...]
    sweet_error: SweetSpot
    sweet_loss: SweetSpot
    clean_error_slope: Estimate | None
    arms: tuple[ArmResult, ...] = ()
    slopes: Slopes | None = None

    def sweet(self, objective: str) -> SweetSpot:
        return self.sweet_loss if objective == "val/loss" else self.sweet_error

    def point(self, alpha: float) -> AlphaPoint | None:
        return next((point for point in self.points if point.alpha == alpha), None)


@dataclass(frozen=True, kw_only=True)
class Conjecture:
    """Does more capacity make clean training error less sensitive to alpha?

    `interaction`: change of the slope d(clean training error)/d(epsilon) per tenfold parameters; negative supports it. Of a
    ladder of epochs (StudyResults.training): change of mixup's gain over alpha 0 per tenfold epochs; positive supports it.
    """

    interaction: Estimate | None
    verdict: str
    text: str


@dataclass(frozen=True, kw_only=True)
class SearchTrial:
    """One trial of the search stage. `value` is the objective at its end, None when it did not finish."""

    number: int
    capacity: str
    setting: dict[str, Any]
    value: float | None
    state: str
    ended_at: float | None
    origin: str


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One attempt on the timeline."""

    worker: str
    start: float
    end: float
    state: str
    stage: str
    capacity: str
    key: str


@dataclass(frozen=True, kw_only=True)
class StudyResults:
    """The whole answer of a study. `findings` of diagnostics, where it asked for any or has any; `pruning`, where it prunes.

    `training`: does longer training help mixup more, where steps of the ladder differ in epochs alone. `interactions`: capacity
    -> axis -> how much alpha and that axis together change the objective beyond their sum (see analysis.interactions).
    """

    study: str
    objective: str
    capacities: tuple[CapacityResult, ...]
    conjecture: Conjecture
    search: tuple[SearchTrial, ...]
    importance: dict[str, dict[str, Estimate]]
    timeline: tuple[Bar, ...]
    counts: dict[str, int]
    provenance: dict[str, Any]
    notes: tuple[str, ...] = field(default=())
    findings: "StudyFindings | None" = None
    pruning: "PruningAudit | None" = None
    training: Conjecture | None = None
    interactions: dict[str, dict[str, Estimate]] = field(default_factory=dict)
