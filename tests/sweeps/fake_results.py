"""Answers of studies that never ran: a rich one, and every way an answer can be poor. Loaded by path (runpy)."""

import math
import random
from dataclasses import replace

from sweeps.analysis.results import (
    AlphaPoint,
    ArmResult,
    Bar,
    CapacityResult,
    Conjecture,
    Estimate,
    SearchTrial,
    StudyResults,
    SweetSpot,
)
from trainable.moments import epsilon

NAN = math.nan
ALPHAS = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 32.0)
TEST_ERROR = {  # percent, the shape of what real digits give
    "width=0.25": (10.4, 8.0, 6.3, 5.7, 5.8, 5.9, 6.4),
    "width=0.5": (11.6, 8.9, 7.0, 5.5, 5.0, 4.9, 5.1),
    "width=1": (12.3, 9.5, 7.9, 5.5, 4.6, 3.9, 3.7),
}
NUM_PARAMETERS = {"width=0.25": 6_218, "width=0.5": 23_850, "width=1": 93_322}
HULL = {"width=0.25": ((0.3, 1.0, 3.0), 0.18, 5.5, "bracketed"),
        "width=0.5": ((1.0, 3.0, 10.0, 32.0), 0.57, 32.0, "edge"),
        "width=1": ((3.0, 10.0, 32.0), 1.75, 32.0, "edge")}
EVIL = '<script>alert(1)</script> & "quoted" <img src=http://evil.example/x.png>'


def around(value: float, half: float) -> Estimate:
    return Estimate(value, value - half, value + half)


def point(capacity: str, position: int, clean: float) -> AlphaPoint:
    alpha, error = ALPHAS[position], TEST_ERROR[capacity][position] / 100
    bias2, variance = 0.05 + 0.3 * epsilon(alpha) ** 2 * (1.4 - clean), 0.9 * error - 0.014
    return AlphaPoint(
        alpha=alpha, epsilon=epsilon(alpha), num_trials=4, num_splits=4, missing=0,
        val_error=around(error + 0.004, 0.006 + 0.04 * error), val_loss=around(0.2 + 3 * error, 0.03),
        test_error=around(error, 0.005 + 0.03 * error), test_loss=around(0.18 + 3 * error, 0.03),
        train_clean_error=around(0.02 + 0.28 * epsilon(alpha) * (1.3 - clean), 0.006),
        train_clean_loss=around(0.1 + epsilon(alpha) * (1.3 - clean), 0.02),
        gap_error=around(error - 0.02 - 0.1 * epsilon(alpha), 0.008),
        bias2=around(bias2, 0.004), variance=around(variance, 0.003 + 0.05 * variance),
        kl_bias=around(4 * bias2, 0.02), kl_variance=around(3 * variance, 0.02))


def sweet(capacity: str, points: tuple[AlphaPoint, ...], field: str) -> SweetSpot:
    inside, low, high, verdict = HULL[capacity]
    best = min(points, key=lambda each: getattr(each, field).value)
    gain = getattr(points[0], field).value - getattr(best, field).value
    return SweetSpot(alpha=best.alpha, alphas_in_set=inside, low=low, high=high, verdict=verdict, level=0.95,
                     gain_over_erm=around(gain, 0.011), p_beats_erm=0.998, num_splits=4,
                     advice="The best alpha may lie above 32: extend the ladder upwards." if verdict == "edge" else
                     f"The sweet spot lies between alpha {low} and {high}; rungs inside that range would narrow it.")


def capacity(name: str, position: int) -> CapacityResult:
    clean = 0.3 + 0.35 * position
    points = tuple(point(name, each, clean) for each in range(len(ALPHAS)))
    return CapacityResult(
        capacity=name, num_parameters=NUM_PARAMETERS[name], points=points,
        setting={"weight_decay": 1.3e-4 * (position + 1), "dropout": 0.1 * position, "epochs": 30 + position},
        sweet_error=sweet(name, points, "val_error"), sweet_loss=sweet(name, points, "val_loss"),
        clean_error_slope=around(0.28 * (1.3 - clean), 0.03))


def search(rng: random.Random) -> tuple[SearchTrial, ...]:
    trials = []
    for name, errors in TEST_ERROR.items():
        for number in range(16):
            setting = {"alpha": 32 * rng.random() ** 3, "weight_decay": 10 ** rng.uniform(-5, -2),
                       "dropout": rng.uniform(0, 0.5), "epochs": rng.randint(10, 40)}
            state = rng.choice(["FINISHED"] * 11 + ["PRUNED"] * 3 + ["FAILED"])
            value = (min(errors) / 100 + 0.06 * rng.random()
                     + abs(setting["dropout"] - 0.15) * 0.1 + 0.2 / setting["epochs"])
            trials.append(SearchTrial(number=number, capacity=name, setting=setting, state=state,
                                      value=value if state == "FINISHED" else None,
                                      ended_at=1.76e9 + 9 * len(trials), origin="first" if number == 0 else "sampler"))
    return tuple(trials)


def timeline(rng: random.Random, trials: tuple[SearchTrial, ...]) -> tuple[Bar, ...]:
    clock = {"node-a:4101": 1.76e9, "node-a:4102": 1.76e9 + 0.4}
    bars = []
    measured = [("measure", name, "FINISHED") for name in TEST_ERROR for _ in range(28)]
    for stage, name, state in [("search", each.capacity, each.state) for each in trials] + measured:
        worker = min(clock, key=lambda each: clock[each])
        seconds = (1.5 if state == "PRUNED" else 4.5) * rng.uniform(0.7, 1.3) * (1 + list(TEST_ERROR).index(name) / 2)
        bars.append(Bar(worker=worker, start=clock[worker], end=clock[worker] + seconds, state=state, stage=stage,
                        capacity=name, key=f"{rng.getrandbits(64):016x}"))
        clock[worker] += seconds + 0.05
    lost = replace(bars[40], state="LOST")
    return (*bars[:40], lost, *bars[41:])


def full() -> StudyResults:
    """Three capacities, seven alphas, four splits; a search of 16 trials a capacity."""
    rng = random.Random(0)
    trials = search(rng)
    names = tuple(TEST_ERROR)
    return StudyResults(
        study="digits", objective="val/error",
        capacities=tuple(capacity(name, position) for position, name in enumerate(names)),
        conjecture=Conjecture(interaction=Estimate(-0.083, -0.121, -0.045), verdict="supported",
                              text="More capacity makes clean training error less sensitive to alpha."),
        search=trials,
        importance={name: {"alpha": around(0.42 - 0.1 * i, 0.15), "weight_decay": around(0.08, 0.06),
                           "dropout": around(0.17 + 0.05 * i, 0.1), "epochs": around(0.25, 0.12)}
                    for i, name in enumerate(names)},
        timeline=timeline(rng, trials),
        counts={"FINISHED": 122, "PRUNED": 8, "FAILED": 2, "failed OOM": 2, "attempts lost": 1},
        provenance={"data": "digits", "data digest": "9f0c4b7a11d2e6c8", "device": "cpu (2 cores)", "code": "0.1.0",
                    "versions": {"python": "3.11.9", "torch": "2.8.0", "ray": "2.54.0", "optuna": "4.6.0"}},
        notes=("2 trials failed: OOM.", "1 attempt was lost with its worker and repeated from its checkpoint."))


def arm(name: str, at: AlphaPoint, gain: float = 0.0, **changes: object) -> ArmResult:
    """An arm with the errors of this rung less `gain`."""
    val, test = around(at.val_error.value - gain, 0.008), around(at.test_error.value - gain, 0.007)
    plain = ArmResult(name=name, sets={"alpha": at.alpha, "label_smoothing": 0.1}, is_rung=False, num_trials=4, num_splits=4,
                      missing=0, val_error=val, val_loss=at.val_loss, test_error=test,
                      difference=around(-gain, 0.011), in_set=False)
    return replace(plain, **changes)


def with_arms(found: StudyResults) -> StudyResults:
    """The same study with three arms beside its ladder: one whole, one that lacks replicates, one that is another."""
    def of(each: CapacityResult) -> tuple[ArmResult, ...]:
        rungs = [arm(f"alpha {point.alpha:g}", point, is_rung=True, sets={"alpha": point.alpha}) for point in each.points]
        rungs[0] = replace(rungs[0], difference=None)
        whole = arm("mixup + dropout 0.7", each.points[0], 0.05, in_set=True)
        poorer = arm("lacking", each.points[0], 0.03, in_set=None, num_trials=3, num_splits=3, missing=1)
        return (*rungs, whole, poorer, replace(whole, name="twin", same_as=whole.name))
    return replace(found, capacities=tuple(replace(each, arms=of(each)) for each in found.capacities))


def hollow(found: CapacityResult, value: float) -> CapacityResult:
    """The same ladder with nothing in it but this number."""
    nothing = Estimate(value)
    points = tuple(replace(
        each, val_error=nothing, val_loss=nothing, test_error=nothing, test_loss=nothing, gap_error=nothing,
        train_clean_error=nothing, train_clean_loss=nothing, bias2=None, variance=Estimate(value, value, value),
        kl_bias=None, kl_variance=None, num_trials=0, num_splits=0, missing=4) for each in found.points)
    spot = replace(found.sweet_error, alpha=value, alphas_in_set=(), low=value, high=value, verdict="not enough data",
                   gain_over_erm=None, p_beats_erm=None, num_splits=0, advice="")
    return replace(found, points=points, sweet_error=spot, sweet_loss=spot, clean_error_slope=None, num_parameters=None)


def poor() -> dict[str, StudyResults]:
    """Every way an answer can be poor, by name."""
    rich = full()
    undecided = Conjecture(interaction=None, verdict="undecided", text="Not enough data.")
    first = rich.capacities[0]
    empty = replace(rich, capacities=(), conjecture=undecided, search=(), importance={}, timeline=(), counts={},
                    provenance={}, notes=())
    failed = tuple(replace(each, state="FAILED", value=None, ended_at=None) for each in rich.search)
    no_data = tuple(hollow(each, NAN) for each in rich.capacities)
    flat = replace(first.sweet_error, verdict="flat", alphas_in_set=ALPHAS, low=0.0, high=32.0, p_beats_erm=0.7,
                   advice="No bracketed sweet spot at this budget: about 9 splits (now 4) would exclude an end.")
    gone = replace(hollow(first, NAN).sweet_error, verdict="no ladder", num_splits=4)
    return {
        "empty": empty,
        "search only": replace(rich, conjecture=undecided,
                               capacities=tuple(replace(each, points=()) for each in no_data)),
        "not measured": replace(rich, capacities=no_data, conjecture=undecided),
        "all failed": replace(rich, capacities=no_data, conjecture=undecided, search=failed, importance={}),
        "nan": replace(rich, capacities=no_data, search=tuple(replace(each, value=NAN) for each in rich.search),
                       importance={name: {"alpha": Estimate(NAN, NAN, NAN)} for name in rich.importance},
                       conjecture=replace(undecided, interaction=Estimate(NAN, NAN, NAN))),
        "one capacity": replace(rich, capacities=(first,), conjecture=undecided,
                                search=tuple(each for each in rich.search if each.capacity == first.capacity)),
        "one alpha": replace(rich, conjecture=undecided, capacities=tuple(replace(
            each, points=each.points[:1], clean_error_slope=None, sweet_error=replace(
                each.sweet_error, alpha=0.0, alphas_in_set=(0.0,), low=0.0, high=0.0, verdict="not enough data",
                gain_over_erm=None, p_beats_erm=None)) for each in rich.capacities)),
        "one trial": replace(rich, search=rich.search[:1], timeline=rich.timeline[:1]),
        "erm best": replace(rich, capacities=(replace(first, sweet_error=replace(
            first.sweet_error, alpha=0.0, alphas_in_set=(0.0, 0.1), low=0.0, high=0.17, verdict="edge",
            gain_over_erm=Estimate(0.0), p_beats_erm=None)),)),
        "flat": replace(rich, capacities=(replace(first, sweet_error=flat),)),
        "loss": replace(rich, objective="val/loss"),
        "arms": with_arms(rich),
        "no ladder": replace(with_arms(rich), conjecture=replace(undecided, text="There is no ladder of alphas to see it on."),
                             capacities=tuple(replace(
                                 each, points=each.points[:1], arms=(each.arms[0], *each.arms[len(ALPHAS):]), sweet_error=gone,
                                 sweet_loss=gone, clean_error_slope=None) for each in with_arms(rich).capacities)),
        "hostile": replace(rich, study=EVIL, notes=(EVIL,), provenance={EVIL: {EVIL: EVIL}}, counts={EVIL: 1},
                           capacities=(replace(first, capacity=EVIL, setting={EVIL: EVIL},
                                               arms=(arm(EVIL, first.points[0]),)), *rich.capacities[1:]),
                           search=tuple(replace(each, capacity=EVIL, setting={**each.setting, EVIL: EVIL})
                                        for each in rich.search),
                           importance={EVIL: {EVIL: Estimate(0.5, 0.4, 0.6)}},
                           timeline=tuple(replace(each, worker=EVIL, capacity=EVIL, key=EVIL)
                                          for each in rich.timeline),
                           conjecture=replace(rich.conjecture, text=EVIL)),
    }
