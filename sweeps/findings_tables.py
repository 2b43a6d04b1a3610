"""What the diagnostics found as tables of text, and the sentences beside them.

Owns the choice of columns and how a mean with its standard error is written. Refuses to know about HTML.
"""

import math

from sweeps.analysis.findings import CapacityFindings, Spread, StudyFindings
from sweeps.tables import Table
from sweeps.theme import NOTHING, plural, value_text

PERCENT_WORDS = ("error", "miss")
"""Values whose name holds one of these words are shares, as all of memorisation's are: read in percent, like every error."""
SILENT_WHERE_NULL = "at_edge"
"""A column that only warns is left out where there is nothing to warn of."""


def findings_table(found: CapacityFindings, diagnostic: str) -> Table:
    """One row an arm, one column a value of this diagnostic: mean ± standard error over splits, and n."""
    arms = [(arm, {name: value for name, value in arm.values.items() if name.startswith(f"{diagnostic}/")}) for arm in found.arms]
    names = list(dict.fromkeys(name for _, values in arms for name in values))
    names = [name for name in names if not name.endswith(SILENT_WHERE_NULL)
             or any(values[name].mean for _, values in arms if name in values)]
    rows = tuple((arm.label, str(max(value.n for value in values.values())), *(
        spread_text(values.get(name), scale_of(name)) for name in names)) for arm, values in arms if values)
    headings = tuple(heading(name) for name in names)
    return Table(("arm", "n", *headings), rows, frozenset({"n", *headings}))


def heading(name: str) -> str:
    """`robustness/pgd_error_16` as `pgd error 16 (%)`."""
    said = name.partition("/")[2].replace("_", " ")
    return f"{said} (%)" if scale_of(name) != 1 else said


def scale_of(name: str) -> float:
    """100 for a share that is read in percent, else 1."""
    diagnostic, _, what = name.partition("/")
    return 100.0 if diagnostic == "memorisation" or set(what.split("_")) & set(PERCENT_WORDS) else 1.0


def spread_text(found: Spread | None, scale: float) -> str:
    """`5.68 ± 0.31`: the standard error with two digits, the mean with as many decimals; alone where n is 1."""
    if found is None:
        return NOTHING
    mean = scale * found.mean
    if found.error is None:
        return value_text(float(mean))
    error = scale * found.error
    if error <= 0:
        return f"{value_text(float(mean))} ± 0"
    decimals = min(6, max(0, 1 - math.floor(math.log10(error))))
    return f"{mean:.{decimals}f} ± {error:.{decimals}f}"


def findings_notes(found: StudyFindings) -> list[str]:
    """What the numbers are, and for how many trials they are missing."""
    overlap = max((each.overlap for each in found.capacities), default=0.0)
    shared = f"; splits share examples, so s √(1/n + {overlap:.3g}) (Nadeau-Bengio)" if overlap else ""
    notes = [f"Mean ± standard error over training splits, seeds of one split averaged first{shared}; n counts splits. Only "
             "finished trials of the measure stage are diagnosed."] if found.names else []
    notes += [f"{name}: {plural(count, 'trial')} of {found.num_trials} ended without it, before the study asked for it."
              for name, count in found.lacking.items()]
    return notes


def transfer_tables(found: StudyFindings) -> dict[str, tuple[Table, list[list[float | None]]]]:
    """Attack -> the table of its errors in percent, row the arm attacked, column the arm judged; and the bare shares."""
    matrix = found.transfer
    if not matrix:
        return {}
    labels = [model["label"] for model in matrix["models"]]
    tables = {}
    for name, errors in {"no attack": [matrix["clean"]], **matrix["attacks"]}.items():
        heads = ["-"] if name == "no attack" else labels
        rows = tuple((label, *(NOTHING if error is None else f"{100 * error:.1f}" for error in row))
                     for label, row in zip(heads, errors, strict=True))
        tables[name] = (Table(("made on", *labels), rows, frozenset(labels)), [list(row) for row in errors])
    return tables


def transfer_note(found: StudyFindings) -> str:
    """What the matrix is, with n, and what it comes to."""
    matrix = found.transfer
    if not matrix:
        return ""
    num, models = matrix["num_examples"], matrix["models"]
    said = (f"Images attacked by the gradients of one model (row) and judged by another (column): test error in percent at "
            "the number beside an attack is ε in 1/255. On the diagonal white box, elsewhere black box. n = 1 replicate (split "
            f"{matrix['split']}, repeat {matrix['repeat']}) of {plural(len(models), 'model')}, {num} test images: the standard "
            f"error of a cell is at most {50 / math.sqrt(num):.1f} points, and says nothing of other splits.")
    lost = len(matrix.get("left_out", ()))
    if any(error is None for rows in matrix["attacks"].values() for row in rows for error in row):
        said += f" {NOTHING}: a pair that was not tried, since one of the two came when the weights of the other were gone."
    return said + (f" {plural(lost, 'model')} left out: no weights were kept." if lost else "")
