"""`make readme`: the numbers of README.md, from the last `make sweep` and `make bench` under `$SWEEP_HOME`.

What stands between `<!-- NAME -->` and `<!-- /NAME -->` is replaced: the key reference from the code, the table and picture of
the study digits, the table of benchmarks. Nothing in those parts is written by hand.
"""

import json
import re
import shutil
from pathlib import Path

from benchmarks.result import Result, table, versions
from sweeps.answer import answer
from sweeps.home import Home
from sweeps.study.schema import reference
from sweeps.tables import markdown_headline, markdown_table

ROOT = Path(__file__).resolve().parents[1]
STUDY = "digits"


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


def benchmarks(home: Home) -> str:
    """The last `make bench`."""
    known = [Result(**one) for one in json.loads((home.root / "bench.json").read_text())]
    return f"{table(known)}\n\n{_libraries(known[-1].versions)}."


def _libraries(found: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in found.items() if name not in ("machine", "cpus"))


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
        text = fill(text, "results", results(home))
    if (home.root / "bench.json").exists():
        text = fill(text, "benchmarks", benchmarks(home))
    path.write_text(text)


if __name__ == "__main__":
    main()
