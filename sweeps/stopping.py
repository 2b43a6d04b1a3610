"""Ending the driver of a study from outside, by the signals that it knows: the first asks, the second does not wait.

Owns which process is signalled and how long its end is waited for. Decides nothing about trials: the driver does.
"""

import os
import signal
import socket
import time

from sweeps.answer import driver_of
from sweeps.home import Home
from trainable.errors import InfrastructureError, StudyError

STOP_SECONDS = 60.0
"""A driver lets running trials report for 20 s; then it brings MLflow up to date."""
POLL_SECONDS = 0.2


def stop_driver(home: Home, name: str, command: str, *, now: bool = False) -> str:
    """Stop the driver of a study and wait until it has let go of it; what came of it, in words.

    `now`: running trials are not waited for; they go on from their last checkpoint later. StudyError, with the `command` to
    give there, where the driver is on another host or another user's; InfrastructureError where it does not end.
    """
    holder = driver_of(home, name)
    if holder is None:
        return f"nobody is running {name}"
    if holder.host != socket.gethostname():
        raise StudyError(f"{name} is driven by process {holder.pid} on {holder.host}; give this command there:\n  {command}")
    # two signals of one number that come close together are one to a busy process, so the second is of another
    for number in (signal.SIGTERM, signal.SIGINT) if now else (signal.SIGTERM,):
        try:
            os.kill(holder.pid, number)
        except PermissionError:
            raise StudyError(f"process {holder.pid}, which runs {name}, is another user's; that user has to give the command:\n"
                             f"  {command}") from None
        except ProcessLookupError:
            break
    for _ in range(int(STOP_SECONDS / POLL_SECONDS)):
        driver = driver_of(home, name)
        if driver is None or driver.pid != holder.pid:
            return f"{name} is stopped; nothing is lost" + (": trials cut off go on from their last checkpoints" if now else "")
        time.sleep(POLL_SECONDS)
    raise InfrastructureError(f"{name} was asked to stop, and process {holder.pid} is still finishing after {STOP_SECONDS:.0f} s"
                              + ("" if now else "; --now does not wait"))
