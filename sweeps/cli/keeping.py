"""The commands that look after what was recorded: `doctor` judges and mends it, `sync` brings MLflow up to date, `ui` serves it."""

import json
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from sweeps.cli.options import INFRASTRUCTURE, LedgerUrl, Storage, StudyName, TrackingUri, app, name_of
from sweeps.console import out, show_table
from sweeps.home import Home
from sweeps.redaction import redact
from trainable.errors import StudyError

if TYPE_CHECKING:
    from sweeps.doctor import Health

MOST_SHOWN = 40


@app.command()
def doctor(study: StudyName = "digits", as_json: Annotated[bool, typer.Option("--json", help="for scripts")] = False,
           repair: Annotated[bool, typer.Option("--repair", help="mend what can be rebuilt, then look again")] = False,
           ledger: LedgerUrl = None, tracking_uri: TrackingUri = None, storage: Storage = None) -> None:
    """Whether ledger, sampler, storage and MLflow tell the same of a study; exit code 4 where they do not."""
    from sweeps.doctor import examine
    from sweeps.doctor.mending import mend
    home, name = Home.resolve(ledger=ledger, tracking_uri=tracking_uri, storage=storage), name_of(study)
    mended = mend(home, name) if repair else []
    health = examine(home, name)
    if as_json:
        typer.echo(json.dumps({**health.to_dict(), "mended": mended}, sort_keys=True))
    else:
        for text in mended:
            out.print(text, soft_wrap=True, markup=False)
        _show_health(health)
    if not health.consistent:
        sys.exit(INFRASTRUCTURE)


def _show_health(health: "Health") -> None:
    if health.driver:
        out.print(f"{health.study} is being run by {health.driver}: what is in motion is not judged", soft_wrap=True)
    if health.consistent:
        whole = "" if health.complete else "; not complete"
        out.print(f"{health.study}: consistent ({health.num_trials} trials, {health.num_rows} rows, "
                  f"MLflow {health.num_runs} runs){whole}", soft_wrap=True, markup=False)
        return
    rows = [{"place": each.place, "trial": each.trial or "", "finding": each.text, "way out": each.remedy}
            for each in health.findings[:MOST_SHOWN]]
    show_table(f"{health.study}: {len(health.findings)} findings", rows)
    if len(health.findings) > MOST_SHOWN:
        out.print(f"and {len(health.findings) - MOST_SHOWN} more: --json lists all", soft_wrap=True)


@app.command()
def sync(study: StudyName = "digits", ledger: LedgerUrl = None, tracking_uri: TrackingUri = None,
         storage: Storage = None) -> None:
    """Bring MLflow up to date with the ledger, also a new server from nothing."""
    from sweeps.answer import answer, driver_of
    from sweeps.tracking import sync as bring
    home, name = Home.resolve(ledger=ledger, tracking_uri=tracking_uri, storage=storage), name_of(study)
    if (holder := driver_of(home, name)) is not None:
        raise StudyError(f"{name} is being run by process {holder.pid} on {holder.host}, which keeps MLflow up to date itself")
    results, path = answer(home, name)
    bring(home, name, results, path)
    out.print(f"MLflow at {redact(home.tracking_uri)} has all of {name}", soft_wrap=True)


@app.command()
def ui(study: StudyName = "digits", tracking_uri: TrackingUri = None,
       port: Annotated[int, typer.Option(help="port on 127.0.0.1")] = 5000) -> None:
    """Serve MLflow on 127.0.0.1 and print the link of the study."""
    from sweeps.tracking import BACKEND_STORE, check, environment, experiment_url, server_command
    home, name = Home.resolve(tracking_uri=tracking_uri), name_of(study)
    address = home.tracking_uri if "://" in home.tracking_uri and home.tracking_uri.startswith("http") else f"http://127.0.0.1:{port}"
    out.print(f"{name}: {experiment_url(home.tracking_uri, name, address)}", soft_wrap=True)
    if address != home.tracking_uri:
        check(home.tracking_uri)
        command = server_command(home, port)
        os.execve(command[0], command, {**environment(), BACKEND_STORE: home.tracking_uri})
