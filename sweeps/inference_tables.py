"""What stands beside a sweet spot: alpha* between the rungs, slopes of bias and variance, epochs, interactions with alpha.

Owns words and columns; text is returned as it is, so each reader escapes it. Refuses to know HTML, plots and MLflow.
"""

from sweeps.analysis.results import CapacityResult, StudyResults
from sweeps.quantities import risk
from sweeps.tables import Table
from sweeps.theme import alpha_interval, alpha_text, estimate


def refined_text(found: CapacityResult, objective: str) -> str:
    """`Between the rungs: alpha* = 1.7 [1.1, 2.6] (quadratic, Fieller interval).`, or why there is no such number."""
    spot = found.sweet(objective)
    if spot.refined is not None:
        curve = spot.refined
        return f"Between the rungs: alpha* = {alpha_text(curve.alpha)} {alpha_interval(curve.low, curve.high)} ({curve.method})."
    return f"Not refined between the rungs: {spot.why_not_refined}." if spot.why_not_refined else ""


def slopes_text(found: CapacityResult) -> str:
    """Where the slopes of bias and variance cancel; empty without predictions."""
    return f"On test predictions: {found.slopes.text[:1].lower()}{found.slopes.text[1:]}" if found.slopes else ""


def interactions_table(results: StudyResults) -> Table:
    """One row per capacity and axis: what alpha and the axis do together beyond their sum."""
    change = risk(results.objective).change
    heading = f"with alpha, {change.label}"
    counts = {name: sum(1 for trial in results.search if trial.capacity == name and trial.value is not None)
              for name in results.interactions}
    rows = tuple((name, axis, estimate(found, change), str(counts[name]))
                 for name, axes in results.interactions.items() for axis, found in axes.items())
    return Table(("capacity", "axis", heading, "n"), rows, frozenset({heading, "n"}))


def interactions_note(results: StudyResults) -> str:
    """What the numbers of the interactions mean."""
    return (f"How much {risk(results.objective).name} changes from the low to the high half of alpha and of the axis at once, "
            "beyond the sum of both: a linear model of the finished search trials, percentile intervals over resampled trials. "
            "An interval that holds 0 shows nothing; the sampler chose the trials, so even one that does not is a hint. "
            "n counts search trials.")
