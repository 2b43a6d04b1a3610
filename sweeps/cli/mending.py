"""The commands that look after MLflow: `sync` brings it up to date, `ui` serves it."""

import os
from typing import Annotated

import typer

from sweeps.cli.options import LedgerUrl, Storage, StudyName, TrackingUri, app, name_of
from sweeps.console import out
from sweeps.home import Home
from sweeps.redaction import redact
from trainable.errors import StudyError


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
    from sweeps.tracking import BACKEND_STORE, environment, experiment_url, server_command
    home, name = Home.resolve(tracking_uri=tracking_uri), name_of(study)
    address = home.tracking_uri if "://" in home.tracking_uri and home.tracking_uri.startswith("http") else f"http://127.0.0.1:{port}"
    out.print(f"{name}: {experiment_url(home.tracking_uri, name, address)}", soft_wrap=True)
    if address != home.tracking_uri:
        command = server_command(home, port)
        os.execve(command[0], command, {**environment(), BACKEND_STORE: home.tracking_uri})
