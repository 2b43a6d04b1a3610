"""The commands that train: `run`, `claims`, `trial`, and `stop`, which ends a run. Each imports what it needs when it is given."""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from sweeps.cli.options import (
    FAILURES,
    INTERRUPTED,
    LedgerUrl,
    Sets,
    Storage,
    StudyName,
    TrackingUri,
    abandon,
    app,
    command_line,
    interruptible,
    name_of,
)
from sweeps.console import out, say, show_results, show_table
from sweeps.home import Home
from sweeps.study import load_study
from trainable.errors import StudyError


@app.command()
def run(study: StudyName = "digits", sets: Sets = None, ledger: LedgerUrl = None, tracking_uri: TrackingUri = None,
        storage: Storage = None,
        address: Annotated[str | None, typer.Option(help="a Ray cluster to join, else RAY_ADDRESS, else this machine")] = None,
        tracker: Annotated[str, typer.Option(help="on: MLflow must answer now; defer: catch up when it does")] = "on",
        fork: Annotated[str | None, typer.Option(metavar="OLD", help="begin a new study (--set name=NEW) with the finished "
                                                                     "trials of study OLD that still apply")] = None) -> None:
    """Run a study, or go on with one that has begun; ends with the table and where to look."""
    from sweeps.advice import advice
    from sweeps.answer import study_status
    from sweeps.progress import Progress
    from sweeps.run import RunOptions, run_study
    home = Home.resolve(ledger=ledger, tracking_uri=tracking_uri, storage=storage)
    if tracker not in ("on", "defer"):
        raise StudyError(f"--tracker = {tracker!r}: must be one of on, defer")
    loaded = load_study(study, overrides=sets or [])
    options = RunOptions(address=address, defer_tracking=tracker == "defer", abandon=abandon, fork_of=fork,
                         command=command_line(), say=say)
    with interruptible():
        outcome = run_study(loaded, home, options, partial(Progress, out))
    if outcome.interrupted:
        out.print(f"Interrupted. The same command goes on: {command_line()}", soft_wrap=True)
        sys.exit(INTERRUPTED)
    if outcome.num_new == 0:
        out.print(f"{loaded.name} is complete: nothing was left to run")
    show_results(outcome.results)
    if outcome.trouble:
        out.print(outcome.trouble, soft_wrap=True, markup=False)
    if outcome.untracked:
        text = f"MLflow lacks something ({outcome.untracked}); later: mixup-sweep sync {loaded.name}"
        out.print(text, soft_wrap=True, markup=False)
    out.print(f"report  {outcome.report}\nMLflow  make ui STUDY={loaded.name}   (mixup-sweep ui {loaded.name})", soft_wrap=True)
    if outcome.failed_share > loaded.tolerance:
        out.print(f"{outcome.num_failed} trials failed, more than the study tolerates ({loaded.tolerance:.0%}). What to do:",
                  soft_wrap=True)
        for text in advice(study_status(home, loaded.name)["failures"], loaded):
            out.print(f"- {text}", soft_wrap=True, markup=False)
        sys.exit(FAILURES)


@app.command()
def claims(ids: Annotated[list[str] | None, typer.Argument(help="claims, such as Z1 C3; none: all of them")] = None,
           sets: Sets = None, as_list: Annotated[bool, typer.Option("--list", help="list them and run nothing")] = False,
           label: Annotated[str | None, typer.Option("--as", help="name the studies STUDY-NAME, where --set changes them")] = None,
           to: Annotated[Path, typer.Option(help="folder of RESULTS.md, results.json and pictures")] = Path("results"),
           address: Annotated[str | None, typer.Option(help="a Ray cluster to join")] = None) -> None:
    """Test the claims of the sources again: run what is left of their studies, then write RESULTS.md."""
    from sweeps.claims import campaign
    from sweeps.progress import Progress
    from sweeps.run import RunOptions, run_study
    asked, home = campaign.prepare(ids or [], sets or [], label), Home.resolve()
    if as_list:
        show_table("claims", [{"claim": each.id, "says": each.says, "studies": ", ".join(each.studies)} for each in asked.claims])
        return
    options, failed = RunOptions(address=address, abandon=abandon, say=say), []
    for study, outcome in campaign.run_all(asked, lambda each: run_study(each, home, options, partial(Progress, out))):
        out.print(f"{study.name}: {outcome.num_new} trials more, {outcome.num_failed} failed", soft_wrap=True)
        if outcome.interrupted:
            out.print(f"Interrupted. The same command goes on: {command_line()}", soft_wrap=True)
            sys.exit(INTERRUPTED)
        failed += [study.name] if outcome.failed_share > study.tolerance else []
    judged, entries, runs = campaign.judge_all(asked, home, campaign.command(sets or [], label))
    show_table("claims", [{"claim": each.claim.id, "verdict": each.verdict, "says": each.claim.says} for each in judged])
    out.print(f"results  {campaign.write(to, entries, runs)}", soft_wrap=True)
    if failed:
        out.print(f"more trials failed than tolerated in {', '.join(failed)}", soft_wrap=True)
        sys.exit(FAILURES)


@app.command()
def trial(sets: Sets = None,
          study: Annotated[str | None, typer.Option(help="take data, model and training from this study")] = None,
          root: Annotated[str | None, typer.Option(help="where the dataset lies")] = None,
          device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:0 ..")] = "auto",
          diagnostics: Annotated[str, typer.Option(help="computed at the end, such as calibration,jacobian")] = "") -> None:
    """One trial in this process, without Ray and MLflow: a row an epoch, then the final metrics."""
    from sweeps.single import diagnostics_of, run_single, trial_config
    names = diagnostics_of(diagnostics)
    config, source = trial_config(sets or [], study, root)
    for row in run_single(config, source, device, names):
        print(row, flush=True)


@app.command()
def stop(study: StudyName = "digits", ledger: LedgerUrl = None,
         now: Annotated[bool, typer.Option("--now", help="do not wait for the next report of running trials: they go on "
                                                         "from their last checkpoint later")] = False) -> None:
    """Ask the driver of a study to checkpoint and end; the same `run` goes on later."""
    from sweeps.stopping import stop_driver
    out.print(stop_driver(Home.resolve(ledger=ledger), name_of(study), command_line(), now=now), soft_wrap=True, markup=False)
