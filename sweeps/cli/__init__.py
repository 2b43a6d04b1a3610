"""The command line: `mixup-sweep`, or `python -m sweeps`. Says what happened and what to do next; decides nothing.

Exit codes: 0 done, 2 wrong usage or study, 3 done but more trials failed than the study tolerates, 4 infrastructure,
5 interrupted and resumable, 130 interrupted twice.
"""

import errno
import sys

from rich.console import Console

from sweeps.cli import keeping, reading, running
from sweeps.cli.options import FAILURES, INFRASTRUCTURE, INTERRUPTED, USAGE, app, command_line
from sweeps.console import out
from sweeps.redaction import redact
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

__all__ = ["app", "keeping", "main", "reading", "running"]


def main() -> None:
    """Run the command line; errors a user can cause become one text on stderr and an exit code."""
    try:
        app()
    except MixupSweepError as error:
        Console(stderr=True, highlight=False).print(f"error: {redact(str(error))}", markup=False, soft_wrap=True)
        if isinstance(error, Diverged):
            sys.exit(FAILURES)
        wrong = isinstance(error, AddressError | ConfigError | DataError | ModelError | StudyChanged | StudyError)
        sys.exit(USAGE if wrong else INFRASTRUCTURE)
    except OSError as error:  # what the driver itself writes: a report, labels, files of Ray's session
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        text = f"error: no room on a disk: {redact(str(error))}; make room, and the same command goes on: {command_line()}"
        Console(stderr=True, highlight=False).print(text, markup=False, soft_wrap=True)
        sys.exit(INFRASTRUCTURE)
    except KeyboardInterrupt:  # before a command had begun
        out.print(f"Interrupted. The same command goes on: {command_line()}", soft_wrap=True)
        sys.exit(INTERRUPTED)
