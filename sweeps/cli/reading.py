"""The commands that look: `plan`, `studies`, `status`, `report`, `replay`. None starts torch or Ray, or changes the ledger."""

import json
from typing import Annotated

import typer

from sweeps.cli.options import LedgerUrl, Sets, Storage, StudyName, app, name_of
from sweeps.console import out, show_results, show_table
from sweeps.home import Home
from sweeps.study import load_study, studies_shipped


@app.command()
def plan(study: StudyName = "digits", sets: Sets = None) -> None:
    """The study with every default filled in, and what it would run: trials, space, cost."""
    from sweeps.plan import plan as make_plan
    loaded = load_study(study, overrides=sets or [])
    out.print(loaded.to_yaml(), markup=False, soft_wrap=True)
    made = make_plan(loaded)
    for title, rows in made.tables().items():
        show_table(title, rows)


@app.command()
def studies() -> None:
    """The studies that come with this package."""
    show_table("studies", [{"study": name, "what it asks": text} for name, text in studies_shipped().items()])


@app.command()
def status(study: StudyName = "digits", as_json: Annotated[bool, typer.Option("--json", help="for scripts")] = False,
           ledger: LedgerUrl = None) -> None:
    """How far a study is: trials by stage and state, failures, who drives it."""
    from sweeps.answer import study_status
    found = study_status(Home.resolve(ledger=ledger), name_of(study))
    if as_json:
        print(json.dumps(found, sort_keys=True))
        return
    state = "complete" if found["complete"] else f"not complete; mixup-sweep run {study} goes on"
    out.print(f"{found['study']}: {found['driver'] or 'nobody is running it'}; {state}", soft_wrap=True)
    seen = sorted({state for counts in found["trials"].values() for state in counts})
    show_table("trials", [{"stage": stage, "planned": found["planned"][stage], **{state: counts.get(state, 0) for state in seen}}
                          for stage, counts in found["trials"].items()])
    if found["failures"]:
        show_table("failures", found["failures"])


@app.command()
def report(study: StudyName = "digits", ledger: LedgerUrl = None, storage: Storage = None) -> None:
    """Rebuild the report from the ledger, also while the study runs."""
    from sweeps.answer import answer
    home, name = Home.resolve(ledger=ledger, storage=storage), name_of(study)
    results, path = answer(home, name)
    show_results(results)
    out.print(f"report  {path}", soft_wrap=True)


@app.command()
def replay(study: StudyName = "digits", sets: Sets = None, ledger: LedgerUrl = None,
           workers: Annotated[int, typer.Option(min=1, max=1000, help="virtual workers")] = 2) -> None:
    """A recorded study again with other rules, on its recorded curves and in virtual time: what they would have cost and found."""
    from sweeps.replay import compare
    name = name_of(study)
    show_table(f"{name}, recorded and replayed", compare(Home.resolve(ledger=ledger), name, sets or [], workers))
