"""RESULTS.md from the book of results: a summary, then each claim with what was run, its effects and what may explain them.

A pure function of results.json. Owns the order and the sentences; tables escape what comes from a study.
"""

from collections import Counter
from typing import Any

from sweeps.claims.registry import CLAIMS
from sweeps.claims.text import claimed_text, effect_text, mean_text, metric_heading
from sweeps.tables import Table
from sweeps.theme import NOTHING, alpha_text, count_text, plural

RULE = """Each claim has one primary contrast, declared before anything ran. It is computed split by split, and its mean gets
a 95 % Student t interval over splits (n - 1 degrees of freedom; where splits are drawn from one pool and overlap, the
variance of the mean carries 1/n + n_val/n_train, after Nadeau and Bengio; disjoint ones need no such factor). **supported**:
the whole interval lies where the claim puts it; **contradicted**: the whole interval lies elsewhere; **undecided at this
budget**: neither. A part is judged only if every planned split has a result. Nothing is adjusted for the number of claims or
of further parts: of 40 contrasts without any effect behind them, about one would be called supported and one contradicted.
Validation sets are drawn with the splits; test numbers (robustness, calibration, entropy) come from one common test set,
whose own sampling noise is in no interval. Nothing was chosen by a test number."""
SUMMARY = ("id", "claim", "verdict", "primary contrast", "effect", "n", "further parts")
PARTS = ("part", "claimed", "effect", "n", "verdict")
SHIPPED_DATA = "digits"
Entry = dict[str, Any]


def markdown(book: Entry) -> str:
    """The whole text. `book` is what `record.merged` gives."""
    claims = [book["claims"][name] for name in CLAIMS if name in book["claims"]]
    blocks = ["# The claims of the sources, tested again", intro(book), RULE, summary(claims).markdown()]
    for entry in claims:
        blocks += claim_blocks(entry, book["studies"])
    return "\n\n".join(blocks) + "\n"


def intro(book: Entry) -> str:
    """What all of it came to, and with what."""
    runs = book["studies"].values()
    trials, minutes = sum(run["num_finished"] for run in runs), sum(run["trial_seconds"] for run in runs) / 60
    verdicts = Counter(entry["verdict"] for entry in book["claims"].values())
    told = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
    failed = sum(run["num_failed"] for run in runs)
    return (f"{plural(len(book['claims']), 'claim')}: {told}. {plural(trials, 'trial')} of {minutes:.0f} minutes together, "
            f"{failed} failed, in {len(runs)} studies. Z11 (speech and tabular data) is not among them, and C1 is an identity, "
            "which a test proves.")


def summary(claims: list[Entry]) -> Table:
    rows = []
    for entry in claims:
        first, further = entry["parts"][0], Counter(part["verdict"] for part in entry["parts"][1:])
        rest = ", ".join(f"{count} {verdict}" for verdict, count in sorted(further.items())) or NOTHING
        rows.append((entry["id"], entry["says"], entry["verdict"], first["says"], effect_text(first["effect"], first["unit"]),
                     str(first["n"]), rest))
    return Table(SUMMARY, tuple(rows), frozenset({"n"}))


def claim_blocks(entry: Entry, runs: Entry) -> list[str]:
    """The section of one claim."""
    undecided = " at this budget" if entry["verdict"] == "undecided" else ""
    untested = [f"Not tested: {entry['untested']}"] if entry["untested"] else []
    may = [f"What may be behind it: {entry['explanation']}"] if entry["explanation"] and explains(entry, runs) else []
    return [
        f"## {entry['id']}: {entry['verdict']}{undecided}", f"**{entry['source']}.** {entry['says']}",
        f"Supported by: {entry['supported_by']}", *untested, parts_table(entry).markdown(),
        f"![parts of {entry['id']}]({entry['id']}.svg)", *reasons(entry), *may,
        "\n".join(f"- {run_text(runs[name])}" for name in entry["studies"]),
        "<details><summary>What was measured</summary>", *measured_tables(entry), "</details>", f"```bash\n{entry['command']}\n```"]


def explains(entry: Entry, runs: Entry) -> bool:
    """Whether the explanations, which were written for the data that the studies ship with, speak of what was run."""
    return all(runs[name]["data"] == SHIPPED_DATA for name in entry["studies"])


def parts_table(entry: Entry) -> Table:
    rows = tuple((part["says"], claimed_text(part["claimed"], part["unit"]), effect_text(part["effect"], part["unit"]),
                  str(part["n"]), part["verdict"]) for part in entry["parts"])
    return Table(PARTS, rows, frozenset({"n"}))


def reasons(entry: Entry) -> list[str]:
    """Why parts were not judged, where the interval is not why."""
    told = [f"- Not judged: {part['says']}. {part['reason'].capitalize()}." for part in entry["parts"] if part["reason"]]
    return ["\n".join(told)] if told else []


def run_text(run: Entry) -> str:
    """One study in a sentence: data, model, budget, trials, versions, hardware."""
    sizes = ", ".join(f"{label} ({count_text(count)} parameters)" for label, count in run["capacities"].items())
    noise = f"{100 * run['label_noise']:g} % of labels replaced" if run["label_noise"] else "labels as they are"
    size = f"{run['train_size'] or 'all'} training, {run['val_size'] or 'a fifth for'} validation examples a split"
    size += " (splits disjoint)" if run.get("split_kind") == "disjoint" else ""
    alphas = ", ".join(alpha_text(alpha) for alpha in run["alphas"])
    arms = f" and {plural(len(run['arms']), 'arm')}" if run["arms"] else ""
    epochs = ", ".join(map(str, run["epochs"])) or NOTHING
    made = ", ".join(f"{name} {value}" for name, value in run["provenance"].items())
    return (f"Study `{run['study']}`: {run['data']}, {size}, {noise}; {run['model']}, {sizes}; alpha {alphas}{arms}; {epochs} "
            f"epochs; {plural(run['splits'], 'split')}, {plural(run['seeds'], 'seed')} each; "
            f"{plural(run['num_finished'], 'trial')}, {run['num_failed']} failed, {run['trial_seconds'] / 60:.1f} minutes of "
            f"trials; {made}; {plural(run['cores'], 'core')}.")


def measured_tables(entry: Entry) -> list[str]:
    """Per study, one row a capacity and arm, one column a metric: means with intervals over splits."""
    blocks = []
    for study in entry["studies"]:
        cells = [cell for cell in entry["measured"] if cell["study"] == study]
        metrics = list(dict.fromkeys(cell["metric"] for cell in cells))
        found = {(cell["capacity"], cell["arm"], cell["metric"]): mean_text(cell["mean"], cell["metric"]) for cell in cells}
        arms = dict.fromkeys((cell["capacity"], cell["arm"]) for cell in cells)
        counts = {(cell["capacity"], cell["arm"]): str(max(other["n"] for other in cells if (
            other["capacity"], other["arm"]) == (cell["capacity"], cell["arm"]))) for cell in cells}
        rows = tuple((*key, *(found.get((*key, metric), NOTHING) for metric in metrics), counts[key]) for key in arms)
        headings = tuple(map(metric_heading, metrics))
        blocks += [f"`{study}`", Table(("capacity", "arm", *headings, "n"), rows, frozenset((*headings, "n"))).markdown()]
    return blocks
