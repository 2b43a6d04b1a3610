"""`make readme`: the numbers of README.md, from the last `make sweep` and `make bench` under `$SWEEP_HOME`.

What stands between `<!-- NAME -->` and `<!-- /NAME -->` is replaced: the key reference from the code, the table and picture of
the study digits, the arms of the study methods and the table of benchmarks where `$SWEEP_HOME` has them, and the claims of
docs/claims. Nothing in those parts is written by hand.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any

from benchmarks.result import Result, table, versions
from sweeps.answer import answer, open_existing
from sweeps.claims.registry import CLAIMS
from sweeps.claims.report import intro, summary
from sweeps.home import Home
from sweeps.study.schema import reference
from sweeps.tables import arms_note, arms_table, markdown_headline, markdown_table

ROOT = Path(__file__).resolve().parents[1]
STUDY = "digits"
CLAIMED = ROOT / "docs" / "claims" / "results.json"


def results(home: Home) -> str:
    """Table, sentences and provenance of the default study; its picture is copied to docs/."""
    found, page = answer(home, STUDY)
    (ROOT / "docs").mkdir(exist_ok=True)
    shutil.copy(page.with_name("picture.svg"), ROOT / "docs" / f"{STUDY}.svg")
    seconds = max(bar.end for bar in found.timeline) - min(bar.start for bar in found.timeline)
    ended = {state: found.counts.get(state, 0) for state in ("FINISHED", "PRUNED", "FAILED")}
    made = (f"One `make sweep` on {versions()['cpus']} CPU cores: {sum(ended.values())} trials ({ended['PRUNED']} pruned, "
            f"{ended['FAILED']} failed) in {seconds / 60:.1f} minutes of trials; {_libraries(versions())}.")
    picture = f"![validation error against alpha, per width](docs/{STUDY}.svg)"
    return "\n\n".join((picture, markdown_table(found), markdown_headline(found), made))


def methods(home: Home) -> str:
    """The arms of the study methods."""
    found, _ = answer(home, "methods")
    made = f"{found.counts.get('FINISHED', 0)} trials; {_libraries(versions())}."
    return f"{arms_table(found).markdown()}\n\n{arms_note(found)} {made}"


def claims(book: dict[str, Any]) -> str:
    """The verdict of each claim, from results.json."""
    entries = [book["claims"][name] for name in CLAIMS if name in book["claims"]]
    return f"{intro(book)}\n\n{summary(entries).markdown()}"


def benchmarks(home: Home) -> str:
    """The last `make bench`."""
    known = [Result(**one) for one in json.loads((home.root / "bench.json").read_text())]
    return f"{table(known)}\n\n{_libraries(known[-1].versions)}."


def _libraries(found: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in found.items() if name not in ("machine", "cpus"))


def studies_in(home: Home) -> set[str]:
    """The studies that the ledger knows."""
    ledger = open_existing(home)
    try:
        return {record.name for record in ledger.studies()}
    finally:
        ledger.close()


def fill(text: str, name: str, content: str) -> str:
    """`text` with the part called `name` replaced. Raises ValueError when there is no such part."""
    part = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    replaced, count = part.subn(lambda found: f"{found[1]}\n{content}\n\n{found[2]}", text)
    if count != 1:
        raise ValueError(f"README.md has {count} parts called {name}, must have one")
    return replaced


def main() -> None:
    home, path = Home.resolve(), ROOT / "README.md"
    text = fill(path.read_text(), "reference", reference().strip())
    if home.ledger.startswith("sqlite") and (home.root / "ledger.db").exists():
        known = studies_in(home)
        for name, study, content in (("results", STUDY, results), ("methods", "methods", methods)):
            text = fill(text, name, content(home)) if study in known else text
    if CLAIMED.exists():
        text = fill(text, "claims", claims(json.loads(CLAIMED.read_text())))
    if (home.root / "bench.json").exists():
        text = fill(text, "benchmarks", benchmarks(home))
    path.write_text(text)


if __name__ == "__main__":
    main()
