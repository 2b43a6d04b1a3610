"""Charts of the diagnostics: what plain training and mixup at alpha* do beyond their error, one chart a capacity.

Each function takes the results of a study and returns its charts, none where the diagnostic found nothing. The names of
the findings are those of trainable.diagnostics.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sweeps.analysis.findings import ArmFindings, CapacityFindings, Spread
from sweeps.analysis.results import StudyResults
from sweeps.charts.canvas import Chart, axis, text
from sweeps.quantities import risk
from sweeps.theme import COLOURS, MUTED, Mark, alpha_text, known, plural

LOOKS = (Mark(COLOURS[1], "square", "dash"), Mark(COLOURS[0], "circle", "solid"))
"""Of plain training, and of mixup at alpha*."""
ATTACKS = {"fgsm": ("FGSM", "dot"), "ifgsm": ("I-FGSM", "dash"), "pgd": ("PGD", "solid")}
MEANING = {"miss": "A miss is a prediction of neither of the two labels.",
           "gradient_norm": "L2 norm of the input gradient of the cross-entropy against the mixed label."}
WATCHED = {"test_error": ("test", "solid"), "real_error": ("kept labels", "dash"), "corrupt_error": ("replaced labels", "dot")}
KINDS = {"different": ("two classes", "solid"), "same": ("one class", "dot")}
ATTACK_CURVE, BETWEEN_CURVE, RELIABILITY = "robustness/error", "between_samples/curve", "calibration/reliability_width"
BARS = "Error bars: standard error over splits. "
LEAST_BIN, LARGEST_BIN = 4.0, 20.0
"""Pixels across of the marker of a bin with next to no examples, and with all of them."""

Compared = list[tuple[str, ArmFindings, Mark]]


def compared(results: StudyResults, found: CapacityFindings) -> Compared:
    """Plain training and mixup at alpha*, as far as either was diagnosed; where alpha* is 0, mixup at its best rung."""
    measured = next((each for each in results.capacities if each.capacity == found.capacity), None)
    best = measured.sweet(results.objective).alpha if measured else None
    second = f"alpha* = {alpha_text(best)}"
    if measured and not best:
        quantity = risk(results.objective)
        mixed = [(value.value, point.alpha) for point in measured.points if point.alpha > 0 and (value := quantity.of(point))]
        best = min(mixed)[1] if mixed else None
        second = f"alpha = {alpha_text(best)}, the best above 0"
    rows = (("ERM", 0.0, LOOKS[0]), (second, best, LOOKS[1]))
    return [(name, arm, look) for name, alpha, look in rows
            if alpha is not None and known(alpha) and (arm := found.arm(alpha))]


def reliability(results: StudyResults) -> list[Chart]:
    """Accuracy against confidence in bins of equal width; a marker is as large as its bin."""
    def draw(chart: Chart, name: str, arm: ArmFindings, look: Mark) -> bool:
        bins = arm.bins.get(RELIABILITY)
        if bins:
            _bins(chart, name, bins, look)
            chart.caption = f"{sum(bins['count'])} predictions an arm. "
        return bool(bins)

    charts = _each(results, "Reliability", draw)
    for chart in charts:
        chart.scatter([0, 100], [0, 100], mode="lines", line={"color": MUTED, "width": 1, "dash": "dot"})
        chart.layout |= {"xaxis": axis("confidence (%)", range=[0, 103]), "yaxis": axis("accuracy (%)", range=[0, 103])}
        chart.caption = ("Test predictions in 15 bins of equal width, all splits pooled; the area of a marker is the share of the "
                         f"predictions. Below the dotted line: overconfident. {chart.caption.replace(BARS, '')}")
    return charts


def _bins(chart: Chart, name: str, bins: dict[str, list[Any]], look: Mark) -> None:
    total = sum(bins["count"])
    rows = [(100 * confidence, 100 * accuracy, count) for count, confidence, accuracy
            in zip(bins["count"], bins["confidence"], bins["accuracy"], strict=True) if count]
    sizes = [LEAST_BIN + (LARGEST_BIN - LEAST_BIN) * (count / total) ** 0.5 for _, _, count in rows]
    chart.scatter([row[0] for row in rows], [row[1] for row in rows], mode="lines+markers", name=text(name),
                  line={"color": look.colour, "dash": look.dash, "width": 1.5},
                  marker={"symbol": look.symbol, "color": look.colour, "size": sizes, "opacity": 0.75},
                  hovertext=[f"<b>{text(name)}</b><br>confidence {confidence:.1f} %, accuracy {accuracy:.1f} %<br>"
                             f"{plural(count, 'prediction')}" for confidence, accuracy, count in rows])


def attacks(results: StudyResults) -> list[Chart]:
    """Error under each white-box attack against epsilon."""
    def draw(chart: Chart, name: str, arm: ArmFindings, look: Mark) -> bool:
        places = _places(arm, f"{ATTACK_CURVE}/epsilon_255")
        for attack, (said, dash) in ATTACKS.items():
            _line(chart, (places, arm.lines.get(f"{ATTACK_CURVE}/{attack}", [])), (f"{name}, {said}", "ε", "% wrong"),
                  Mark(look.colour, look.symbol, dash), 100.0)
        chart.layout["xaxis"] = axis("ε (1/255 of the pixels' range)", tickvals=places)
        chart.caption = f"{arm.facts.get(f'{ATTACK_CURVE}/num_examples', '?')} test images a trial. "
        return bool(places)

    charts = _each(results, "Error under attack", draw)
    for chart in charts:
        chart.layout["yaxis"] = axis("test error (%)", minallowed=0, maxallowed=100, rangemode="tozero")
        chart.caption = f"White box: each model is attacked by its own gradients. {chart.caption}"
    return charts


def between(what: str, title: str, unit: str, scale: float) -> Callable[[StudyResults], list[Chart]]:
    """`what` of between_samples (`miss` or `gradient_norm`) against lambda, pairs of one class and of two."""
    def draw(chart: Chart, name: str, arm: ArmFindings, look: Mark) -> bool:
        places = _places(arm, f"{BETWEEN_CURVE}/lam")
        drawn = [_line(chart, (places, arm.lines.get(f"{BETWEEN_CURVE}/{what}_{kind}", [])), (f"{name}, {said}", "λ", unit),
                       Mark(look.colour, look.symbol, dash), scale) for kind, (said, dash) in KINDS.items()]
        pairs = arm.facts.get(f"{BETWEEN_CURVE}/num_pairs", {})
        counts = " and ".join(f"{pairs.get(kind, '?')} of {said}" for kind, (said, _) in KINDS.items())
        chart.caption = f"On pairs of training examples, a trial {counts}. "
        return any(drawn)

    def charts(results: StudyResults) -> list[Chart]:
        made = _each(results, title, draw)
        for chart in made:
            chart.layout |= {"xaxis": axis("λ (0 and 1: a training example)"),
                             "yaxis": axis(f"{title.lower()} ({unit})", rangemode="tozero")}
            chart.caption = f"{MEANING[what]} {chart.caption}"
        return made
    return charts


def memorisation(results: StudyResults) -> list[Chart]:
    """Error by epoch: on the test set, and on training labels that were kept and that were replaced."""
    def draw(chart: Chart, name: str, arm: ArmFindings, look: Mark) -> bool:
        drawn = []
        for what, (said, dash) in WATCHED.items():
            spreads = arm.lines.get(f"memorisation/{what}", [])
            places = [float(epoch) for epoch in range(1, len(spreads) + 1)]
            drawn.append(_line(chart, (places, spreads), (f"{name}, {said}", "epoch", "% wrong"),
                               Mark(look.colour, look.symbol, dash), 100.0))
        return any(drawn)

    charts = _each(results, "Error by epoch", draw)
    for chart in charts:
        for trace in chart.traces:  # with many epochs bars would hide the lines
            trace |= {"mode": "lines", "error_y": {"visible": False}}
        chart.layout |= {"xaxis": axis("epoch"), "yaxis": axis("error (%)", minallowed=0, maxallowed=100, rangemode="tozero")}
        chart.caption = ("A falling error on replaced labels is memorisation. The test set is read at every epoch here, and "
                         f"chooses nothing. {chart.caption.replace(BARS, '')}")
    return charts


def _each(results: StudyResults, title: str, draw: Callable[[Chart, str, ArmFindings, Mark], bool]) -> list[Chart]:
    """A chart for each capacity where `draw` says that it has drawn an arm."""
    charts = []
    for found in results.findings.capacities if results.findings else ():
        chart, arms = Chart(f"{title}, {found.capacity}", "", {}, 340), compared(results, found)
        drawn = [arm for name, arm, look in arms if draw(chart, name, arm, look)]
        if drawn:
            chart.caption += _counted(drawn)
            charts.append(chart)
    return charts


def _counted(arms: Sequence[ArmFindings]) -> str:
    splits = sorted({arm.num_splits for arm in arms if arm.num_splits})
    span = " to ".join(dict.fromkeys((str(splits[0]), str(splits[-1])))) if splits else "0"
    noun, count = "split" if splits and splits[-1] == 1 else "splits", sum(arm.num_trials for arm in arms)
    return f"{BARS}n = {span} {noun} an arm, {plural(count, 'trial')}."


def _places(arm: ArmFindings, name: str) -> list[float]:
    """Where the points of a curve lie: the same in every trial."""
    return [point.mean for point in arm.lines.get(name, [])]


def _line(chart: Chart, points: tuple[list[float], list[Spread]], words: tuple[str, str, str], look: Mark, scale: float) -> bool:
    """A line with its error bars; whether there was one. `words`: its name, what x is, the unit of y."""
    (places, spreads), (name, where, unit) = points, words
    if not spreads or len(spreads) != len(places):
        return False
    arms = [scale * (spread.error or 0.0) for spread in spreads]
    chart.scatter(places, [scale * spread.mean for spread in spreads], mode="lines+markers", name=text(name),
                  line={"color": look.colour, "dash": look.dash, "width": 2},
                  marker={"symbol": look.symbol, "color": look.colour, "size": 6},
                  error_y={"type": "data", "array": arms, "thickness": 1, "width": 3},
                  hovertext=[f"<b>{text(name)}</b><br>{where} {place:g}: {scale * spread.mean:.3g} {unit}, standard error "
                             f"{error:.2g}<br>n = {plural(spread.n, 'split')}"
                             for place, spread, error in zip(places, spreads, arms, strict=True)])
    return True
