"""The command line: `mixup-sweep`, or `python -m sweeps`. Says what happened and what to do next; decides nothing.

Exit codes: 0 done, 2 wrong usage or study, 3 done but more trials failed than the study tolerates, 4 infrastructure,
5 interrupted and resumable, 130 interrupted twice.
"""

import sys

from rich.console import Console

from sweeps.cli import mending, reading, running
from sweeps.cli.options import FAILURES, INFRASTRUCTURE, INTERRUPTED, INTERRUPTED_TWICE, USAGE, app, command_line
from sweeps.console import out
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

__all__ = ["app", "main", "mending", "reading", "running"]


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
        out.print(f"Interrupted before a trial had begun. The same command goes on: {command_line()}", soft_wrap=True)
        sys.exit(INTERRUPTED)
