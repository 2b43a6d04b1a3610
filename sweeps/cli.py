"""The command line: `mixup-sweep`, or `python -m sweeps`. Says what happened and what to do next; decides nothing.

Exit codes: 0 done, 2 wrong usage or study, 3 done but more trials failed than the study tolerates, 4 infrastructure,
5 interrupted and resumable, 130 interrupted twice.
"""

import json
import os
import shlex
import signal
import socket
import sys
import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from sweeps.console import out, show_results, show_table
from sweeps.home import Home
from sweeps.redaction import redact
from sweeps.study import load_study, studies_shipped
from trainable.errors import (
    AddressError,
    ConfigError,
    DataError,
    Diverged,
    MixupSweepError,
    ModelError,
    StudyChanged,
    StudyError,
)

USAGE, FAILURES, INFRASTRUCTURE, INTERRUPTED, INTERRUPTED_TWICE = 2, 3, 4, 5, 130

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
                  help="Hyper-parameter sweeps for mixup training: alpha's sweet spot, with an interval, per capacity.")
STOP_SECONDS = 60.0

StudyName = Annotated[str, typer.Argument(help="a ready study by name, or the path of a study file")]
Sets = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="change one key; may be repeated")]
LedgerUrl = Annotated[str | None, typer.Option("--ledger", help="database of the ledger, if not under SWEEP_HOME")]
TrackingUri = Annotated[str | None, typer.Option("--tracking-uri", help="MLflow database or server")]
Storage = Annotated[str | None, typer.Option("--storage", help="folder or URL that the driver and all workers reach")]


def main() -> None:
    """Run the command line; errors a user can cause become one text on stderr and an exit code."""
    try:
        app()
    except MixupSweepError as error:
        Console(stderr=True, highlight=False).print(f"error: {error}", markup=False, soft_wrap=True)
        if isinstance(error, Diverged):
            sys.exit(FAILURES)
        wrong = isinstance(error, AddressError | ConfigError | DataError | ModelError | StudyChanged | StudyError)
        sys.exit(USAGE if wrong else INFRASTRUCTURE)
    except KeyboardInterrupt as error:  # a first one that came before there was a sweep to stop, or the second
        if type(error) is not KeyboardInterrupt:
            sys.exit(INTERRUPTED_TWICE)
        out.print(f"Interrupted before a trial had begun. The same command goes on: {_command()}", soft_wrap=True)
        sys.exit(INTERRUPTED)


@app.command()
def run(study: StudyName = "digits", sets: Sets = None, ledger: LedgerUrl = None, tracking_uri: TrackingUri = None,
        storage: Storage = None,
        address: Annotated[str | None, typer.Option(help="a Ray cluster to join, else RAY_ADDRESS, else this machine")] = None,
        tracker: Annotated[str, typer.Option(help="on: MLflow must answer now; defer: catch up when it does")] = "on",
        ) -> None:
    """Run a study, or go on with one that has begun; ends with the table and where to look."""
    from sweeps.progress import Progress
    from sweeps.run import RunOptions, run_study
    home = Home.resolve(ledger=ledger, tracking_uri=tracking_uri, storage=storage)
    if tracker not in ("on", "defer"):
        raise StudyError(f"--tracker = {tracker!r}: must be one of on, defer")
    loaded = load_study(study, overrides=sets or [])
    outcome = run_study(loaded, home, RunOptions(address=address, defer_tracking=tracker == "defer"), partial(Progress, out))
    if outcome.interrupted:
        out.print(f"Interrupted. The same command goes on: {_command()}", soft_wrap=True)
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
        out.print(f"{outcome.num_failed} trials failed, more than the study tolerates ({loaded.tolerance:.0%}): "
                  "the report lists why.", soft_wrap=True)
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
    options, failed = RunOptions(address=address), []
    for study, outcome in campaign.run_all(asked, lambda each: run_study(each, home, options, partial(Progress, out))):
        out.print(f"{study.name}: {outcome.num_new} trials more, {outcome.num_failed} failed", soft_wrap=True)
        if outcome.interrupted:
            out.print(f"Interrupted. The same command goes on: {_command()}", soft_wrap=True)
            sys.exit(INTERRUPTED)
        failed += [study.name] if outcome.failed_share > study.tolerance else []
    judged, entries, runs = campaign.judge_all(asked, home, campaign.command(sets or [], label))
    show_table("claims", [{"claim": each.claim.id, "verdict": each.verdict, "says": each.claim.says} for each in judged])
    out.print(f"results  {campaign.write(to, entries, runs)}", soft_wrap=True)
    if failed:
        out.print(f"more trials failed than tolerated in {', '.join(failed)}", soft_wrap=True)
        sys.exit(FAILURES)


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
    found = study_status(Home.resolve(ledger=ledger), _name(study))
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
def stop(study: StudyName = "digits", ledger: LedgerUrl = None) -> None:
    """Ask the driver of a study to checkpoint and end; the same `run` goes on later."""
    from sweeps.answer import driver_of, is_driver
    home, name = Home.resolve(ledger=ledger), _name(study)
    holder = driver_of(home, name)
    if holder is None:
        out.print(f"nobody is running {name}")
        return
    if holder.host != socket.gethostname():
        raise StudyError(f"{name} is driven by process {holder.pid} on {holder.host}: stop it there")
    if not is_driver(holder):
        out.print(f"nobody is running {name}: its driver, process {holder.pid}, is gone")
        return
    try:
        os.kill(holder.pid, signal.SIGTERM)
    except PermissionError:
        raise StudyError(f"process {holder.pid}, which runs {name}, is another user's") from None
    except ProcessLookupError:
        pass
    for _ in range(int(STOP_SECONDS / 0.2)):
        if driver_of(home, name) is None:
            out.print(f"{name} is stopped; nothing is lost")
            return
        time.sleep(0.2)
    out.print(f"{name} was asked to stop, and process {holder.pid} is still finishing")


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
def report(study: StudyName = "digits", ledger: LedgerUrl = None, storage: Storage = None) -> None:
    """Rebuild the report from the ledger, also while the study runs."""
    from sweeps.answer import answer
    home, name = Home.resolve(ledger=ledger, storage=storage), _name(study)
    results, path = answer(home, name)
    show_results(results)
    out.print(f"report  {path}", soft_wrap=True)


@app.command()
def replay(study: StudyName = "digits", sets: Sets = None, ledger: LedgerUrl = None,
           workers: Annotated[int, typer.Option(min=1, max=1000, help="virtual workers")] = 2) -> None:
    """A recorded study again with other rules, on its recorded curves and in virtual time: what they would have cost and found."""
    from sweeps.replay import compare
    show_table(f"{_name(study)}, recorded and replayed", compare(Home.resolve(ledger=ledger), _name(study), sets or [], workers))


@app.command()
def sync(study: StudyName = "digits", ledger: LedgerUrl = None, tracking_uri: TrackingUri = None,
         storage: Storage = None) -> None:
    """Bring MLflow up to date with the ledger, also a new server from nothing."""
    from sweeps.answer import answer, driver_of
    from sweeps.tracking import sync as bring
    home, name = Home.resolve(ledger=ledger, tracking_uri=tracking_uri, storage=storage), _name(study)
    if (holder := driver_of(home, name)) is not None:
        raise StudyError(f"{name} is being run by process {holder.pid} on {holder.host}, which keeps MLflow up to date itself")
    results, path = answer(home, name)
    bring(home, name, results, path)
    out.print(f"MLflow at {redact(home.tracking_uri)} has all of {name}", soft_wrap=True)


@app.command()
def ui(study: StudyName = "digits", tracking_uri: TrackingUri = None,
       port: Annotated[int, typer.Option(help="port on 127.0.0.1")] = 5000) -> None:
    """Serve MLflow on 127.0.0.1 and print the link of the study."""
    from sweeps.tracking import environment, experiment_url, server_command
    home = Home.resolve(tracking_uri=tracking_uri)
    address = home.tracking_uri if "://" in home.tracking_uri and home.tracking_uri.startswith("http") else f"http://127.0.0.1:{port}"
    out.print(f"{_name(study)}: {experiment_url(home.tracking_uri, _name(study), address)}", soft_wrap=True)
    if address != home.tracking_uri:
        command = server_command(home, port)
        os.execve(command[0], command, environment())


def _name(study: str) -> str:
    """The name a study goes by in the ledger: of a file, the name it gives itself."""
    return load_study(study).name if Path(study).suffix in (".yaml", ".yml") or study in studies_shipped() else study


def _command() -> str:
    return redact(shlex.join(["mixup-sweep", *sys.argv[1:]]))
