"""Verdicts on simulated results: every outcome of the rule, against intervals worked out by hand."""

import math

import numpy as np
import pytest

from sweeps.analysis.capacity import CONTRADICTED, SUPPORTED, UNDECIDED
from sweeps.analysis.results import Estimate
from sweeps.claims.claim import ABOVE_0, BELOW_0, RATIO, Claimed, Part, difference
from sweeps.claims.registry import CLAIMS
from sweeps.claims.verdict import judge, judge_part, read
from tests.sweeps.claims.evidences import effect_of, evidence

ADDED = {name: claim for name, claim in CLAIMS.items() if claim.parts[0].unit != RATIO}
BETTER = Part(says="mixup below plain", terms=difference("s", "m", "mixup", "plain"), claimed=BELOW_0)


def found(mixup: list[float], plain: list[float], part: Part = BETTER, **options: float) -> tuple[str, str]:
    effect = judge_part(part, {"s": evidence("s", {("mixup", "m"): mixup, ("plain", "m"): plain}, **options)})
    return effect.verdict, effect.reason


@pytest.mark.parametrize(("interval", "claimed", "verdict"), [
    ((-2.0, -1.0), BELOW_0, SUPPORTED), ((1.0, 2.0), BELOW_0, CONTRADICTED), ((-1.0, 1.0), BELOW_0, UNDECIDED),
    ((-1.0, 0.0), BELOW_0, UNDECIDED), ((0.0, 1.0), BELOW_0, UNDECIDED), ((1.0, 2.0), ABOVE_0, SUPPORTED),
    ((-0.5, 0.5), Claimed(low=-1, high=1), SUPPORTED), ((1.5, 2.0), Claimed(low=-1, high=1), CONTRADICTED),
    ((-3.0, -2.0), Claimed(low=-1, high=1), CONTRADICTED), ((0.5, 1.5), Claimed(low=-1, high=1), UNDECIDED),
    ((-3.0, 3.0), Claimed(low=-1, high=1), UNDECIDED),
])
def test_the_rule(interval: tuple[float, float], claimed: Claimed, verdict: str) -> None:
    assert read(Estimate(sum(interval) / 2, *interval), claimed) == verdict


def test_the_interval_is_students_over_splits_with_the_overlap() -> None:
    table = {("mixup", "m"): [1.0, 2.0, 4.0], ("plain", "m"): [3.0, 5.0, 5.0]}
    effect = judge_part(BETTER, {"s": evidence("s", table, overlap=0.25)})
    half = 4.302652729911275 * 1.0 * math.sqrt(1 / 3 + 0.25)  # differences -2, -3, -1: mean -2, s = 1; t(.975, 2)
    assert effect.estimate.value == -2.0
    assert (effect.estimate.low, effect.estimate.high) == pytest.approx((-2 - half, -2 + half), abs=1e-9)
    assert (effect.n, effect.verdict) == (3, UNDECIDED)


def test_splits_are_paired() -> None:
    noise = [0.0, 10.0, -10.0, 30.0]
    assert found([1.0 + each for each in noise], [each + 2 + 0.01 * place for place, each in enumerate(noise)]) == (SUPPORTED, "")


@pytest.mark.parametrize(("mixup", "plain", "planned", "reason"), [
    ([1.0], [2.0], 1, "needs 2 splits, and there is 1"), ([1.0], [2.0], 4, "needs 2 splits"),
    ([], [], 4, "nothing was measured of m of mixup"),
    ([1.0, 2.0, math.nan], [3.0, 3.0, 3.0], 3, "1 of 3 splits lack a result"),
    ([1.0, 1.0], [2.0, 2.0], 2, "all splits gave the same number"),
])
def test_what_cannot_be_judged_says_why(mixup, plain, planned: int, reason: str) -> None:
    verdict, told = found(mixup, plain, planned=planned)
    assert verdict == UNDECIDED
    assert reason in told


def test_an_arm_that_was_never_measured_is_named() -> None:
    effect = judge_part(BETTER, {"s": evidence("s", {("plain", "m"): [1.0, 2.0]})})
    assert effect.verdict == UNDECIDED
    assert effect.reason == "nothing was measured of m of mixup in s"


def test_a_ratio_is_of_logarithms_and_needs_positive_values() -> None:
    part = Part(says="", terms=difference("s", "m", "mixup", "plain"), claimed=Claimed(high=math.log(1.05)), unit=RATIO)
    effect = judge_part(part, {"s": evidence("s", {("mixup", "m"): [2.0, 8.0], ("plain", "m"): [1.0, 1.0]})})
    assert math.exp(effect.estimate.value) == pytest.approx(4.0)
    assert "lack a result" in found([0.0, 1.0, 1.1], [1.0, 1.0, 1.0], part)[1]


@pytest.mark.parametrize("claim", ADDED.values(), ids=ADDED)
def test_every_claim_can_come_out_either_way(claim) -> None:
    claimed, steps = claim.parts[0].claimed, np.array([-0.001, 0.0, 0.001, 0.0])
    inside = {(False, True): claimed.high - 0.1, (True, False): claimed.low + 0.1, (True, True): 0.0}[
        math.isfinite(claimed.low), math.isfinite(claimed.high)]
    outside = claimed.high + 0.1 if math.isfinite(claimed.high) else claimed.low - 0.1
    edge = claimed.high if math.isfinite(claimed.high) else claimed.low
    for centre, verdict in ((inside, SUPPORTED), (outside, CONTRADICTED), (edge, UNDECIDED)):
        judged = judge(claim, effect_of(claim, list(centre + steps)))
        assert judged.verdict == verdict
        assert judged.primary.estimate.value == pytest.approx(centre, abs=1e-9)
        assert len(judged.effects) == len(claim.parts)


@pytest.mark.parametrize(("claim", "arm", "values", "verdict"), [
    ("Z12", "alpha 1", [1.01, 1.02, 1.01, 1.02], SUPPORTED), ("Z12", "alpha 1", [1.5, 1.6, 1.5, 1.6], CONTRADICTED),
    ("Z12", "alpha 1", [0.9, 1.3, 0.9, 1.3], UNDECIDED), ("C5", "inputs only", [2.0, 2.1, 2.0, 2.1], SUPPORTED),
    ("C5", "inputs only", [0.5, 0.6, 0.5, 0.6], CONTRADICTED), ("C5", "inputs only", [0.5, 2.1, 0.5, 2.1], UNDECIDED),
])
def test_claims_of_ratios_can_come_out_either_way(claim: str, arm: str, values: list[float], verdict: str) -> None:
    first = CLAIMS[claim].parts[0]
    (_, over), (_, under) = first.terms
    assert over.arm == arm
    table = {(over.arm, over.metric): values, (under.arm, under.metric): [1.0] * 4}
    assert judge_part(first, {over.study: evidence(over.study, table)}).verdict == verdict
