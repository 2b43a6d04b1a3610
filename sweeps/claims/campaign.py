"""Running claims: which studies they need, what is left of each, and the folder of results at the end.

The composition of the parts and nothing else; torch and Ray are imported only when a study runs. A study that is complete starts
nothing, so the same command goes on where it stopped, and with nothing left it only writes.
"""

import json
import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweeps.answer import known_study, open_existing
from sweeps.changes import changes
from sweeps.claims.claim import Claim
from sweeps.claims.evidence import Evidence, gather
from sweeps.claims.picture import picture
from sweeps.claims.record import Entry, claim_entry, merged, study_entry
from sweeps.claims.registry import cells_of, refuse, select, studies_of
from sweeps.claims.report import markdown
from sweeps.claims.verdict import Judged, judge
from sweeps.home import Home
from sweeps.records import TRANSFER
from sweeps.redaction import redact
from sweeps.storage import write_whole
from sweeps.study import Study, load_study, studies_shipped
from trainable.errors import StudyError

if TYPE_CHECKING:
    from sweeps.run import Outcome

RESULTS, TEXT = "results.json", "RESULTS.md"


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """The claims asked for and their studies, by the name of the study's file."""

    claims: tuple[Claim, ...]
    studies: Mapping[str, Study]


def prepare(ids: Sequence[str], sets: Sequence[str] = (), label: str | None = None) -> Campaign:
    """The campaign of these claims (none: all), every study changed by `sets` and, with a label, named `<study>-<label>`.

    StudyError with all that is wrong: an unknown claim, a study that lacks an arm or a diagnostic, a change of what a shipped study
    is without a label to tell the two apart.
    """
    claims = select(ids)
    if any(each.partition("=")[0].strip() == "name" for each in sets):
        raise StudyError("--set name: claims run several studies; `--as NAME` gives each a name of its own")
    own = [f"name={{}}-{label}"] if label else []
    studies = {name: load_study(name, [*sets, *(each.format(name) for each in own)]) for name in studies_of(claims)}
    if not label:
        _check_identity(studies)
    refuse(claims, studies)
    return Campaign(claims=tuple(claims), studies=studies)


def _check_identity(studies: Mapping[str, Study]) -> None:
    told = [f"{name}: {line}" for name, study in studies.items() for line in changes(load_study(name).identity(), study.identity())]
    if told:
        raise StudyError("\n".join(["--set changes what a study is; `--as NAME` names the changed ones", *told]))


def run_all(campaign: Campaign, run: "Callable[[Study], Outcome]") -> "Iterator[tuple[Study, Outcome]]":
    """Runs what is left of each study in turn, and ends after one that was interrupted."""
    for study in campaign.studies.values():
        outcome = run(study)
        yield study, outcome
        if outcome.interrupted:
            return


def command(sets: Sequence[str], label: str | None) -> str:
    """What asks for one claim again, with {} where its id goes."""
    options = [*(["--as", label] if label else []), *(word for each in sets for word in ("--set", each))]
    said = " ".join(redact(shlex.join(["mixup-sweep", "claims", *options])).split())
    return said.replace("{", "{{").replace("}", "}}").replace("`", "'").replace("mixup-sweep claims", "mixup-sweep claims {}", 1)


def judge_all(campaign: Campaign, home: Home, command: str) -> tuple[list[Judged], list[Entry], list[Entry]]:
    """The claims judged from the ledger, and the entries of the claims and of the studies. `command` has {} for the claim."""
    gathered = {name: _gathered(campaign, name, study, home) for name, study in campaign.studies.items()}
    evidence = {name: found for name, (found, _) in gathered.items()}
    judged = [judge(claim, evidence) for claim in campaign.claims]
    entries = [claim_entry(each, evidence, command.format(each.claim.id)) for each in judged]
    return judged, entries, [run for _, run in gathered.values()]


def _gathered(campaign: Campaign, name: str, study: Study, home: Home) -> tuple[Evidence, Entry]:
    ledger = open_existing(home)
    try:
        record = known_study(ledger, study.name)
        known, trials, attempts = Study.from_dict(record.spec), ledger.trials(record.id), ledger.attempts(record.id)
        found = gather(known, study.name, trials, ledger.rows(record.id), cells_of(campaign.claims, name),
                       ledger.study_findings(record.id).get(TRANSFER))
    finally:
        ledger.close()
    return found, study_entry(known, studies_shipped()[name], trials, attempts, os.cpu_count() or 1)


def write(folder: Path, claims: Sequence[Entry], studies: Sequence[Entry]) -> Path:
    """RESULTS.md, whose path is returned, results.json and a picture a claim; claims of earlier runs stay."""
    book = merged(_known(folder / RESULTS), claims, studies)
    write_whole(str(folder / RESULTS), (json.dumps(book, indent=1, allow_nan=False) + "\n").encode())
    for name, entry in book["claims"].items():
        write_whole(str(folder / f"{name}.svg"), picture(entry).encode())
    write_whole(str(folder / TEXT), markdown(book).encode())
    return folder / TEXT


def _known(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise StudyError(f"{path}: cannot be read as the results of an earlier run ({error}); move it away") from None
    if not isinstance(found, dict) or not {"claims", "studies"} <= set(found):
        raise StudyError(f"{path}: does not hold the results of an earlier run; move it away, or choose another folder by --to")
    return found
