"""What the commands share: the application, the options that several take, the exit codes, and how a study is named.

Owns no command. Exit codes: 0 done, 2 wrong usage or study, 3 done but more trials failed than the study tolerates,
4 infrastructure, 5 interrupted and resumable, 130 interrupted twice.
"""

import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from sweeps.console import out
from sweeps.redaction import redact
from sweeps.study import load_study, studies_shipped
from sweeps.study.reader import clean
from sweeps.study.schema import NAME_PATTERN
from trainable.errors import StudyError

USAGE, FAILURES, INFRASTRUCTURE, INTERRUPTED, INTERRUPTED_TWICE = 2, 3, 4, 5, 130

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
                  help="Hyper-parameter sweeps for mixup training: alpha's sweet spot, with an interval, per capacity.")

StudyName = Annotated[str, typer.Argument(help="a ready study by name, or the path of a study file")]
Sets = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="change one key; may be repeated")]
LedgerUrl = Annotated[str | None, typer.Option("--ledger", help="database of the ledger, if not under SWEEP_HOME")]
TrackingUri = Annotated[str | None, typer.Option("--tracking-uri", help="MLflow database or server")]
Storage = Annotated[str | None, typer.Option("--storage", help="folder or URL that the driver and all workers reach")]


def name_of(study: str) -> str:
    """The name a study goes by in the ledger: of a file, the name it gives itself. StudyError for what can be no study's name."""
    if Path(study).suffix in (".yaml", ".yml") or study in studies_shipped():
        return load_study(study).name
    if not NAME_PATTERN.fullmatch(study):
        raise StudyError(f"{clean(study)}: is no .yaml file, and no study's name either, which is 1 to 64 letters, digits, dots, "
                         "dashes and underscores")
    return study


def abandon(why: str) -> NoReturn:
    """End the process at once, as for any failure of the infrastructure, where its main thread cannot be reached any more."""
    Console(stderr=True, highlight=False).print(f"error: {why}", markup=False, soft_wrap=True)
    os._exit(INFRASTRUCTURE)


@contextmanager
def interruptible() -> Iterator[None]:
    """Within it SIGTERM is what Ctrl-C is, and either ends the process with the command that goes on, also while no trial runs.

    Typer would make 130 of it without a word. An interrupt of another type is the second one: that is 130.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt as error:
        if type(error) is not KeyboardInterrupt:
            sys.exit(INTERRUPTED_TWICE)
        out.print(f"Interrupted. The same command goes on: {command_line()}", soft_wrap=True)
        sys.exit(INTERRUPTED)


def command_line() -> str:
    """The command as it was given, without credentials: what a person types to go on."""
    return redact(shlex.join(["mixup-sweep", *sys.argv[1:]]))
