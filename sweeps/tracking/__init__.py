"""Keeping MLflow up to date with the ledger from a driver: starts the process that sends, and asks how far it is.

Owns that process: its settings, its restart, its last words. Never imports mlflow, nor waits for it during a sweep,
so that MLflow being slow, down or wrong costs a trial nothing.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from sweeps.home import Home
from sweeps.records import FINISHED, INTERRUPTED, PENDING, RUNNING, TRANSFER
from sweeps.tracking.address import BACKEND_STORE, check, experiment_url, server_command
from sweeps.tracking.content import FINDINGS_FILE
from sweeps.tracking.faults import hide_secrets
from sweeps.tracking.summary import Summary, describe
from trainable.errors import InfrastructureError

if TYPE_CHECKING:
    from sweeps.analysis.results import StudyResults

__all__ = ["BACKEND_STORE", "Tracker", "check", "experiment_url", "server_command", "sync"]

POLL_SECONDS = 2.0
"""A short trial is over by the time it is seen, and costs one call each of create, log and end."""

RESTART_SECONDS = 5.0
_TEXTS_KEPT, _LINES_KEPT = 20, 20


def environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment for MLflow, sending or serving: nothing told elsewhere, no retries of its own, no job queue.

    MLflow repeats a failed POST by itself, and a create_run whose answer was lost would then make two runs. The waiting
    and the repeating are ours. The job queue of a server is seven more processes that a sweep has no use for.
    """
    return {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", **environ, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true",
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
            "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false", "MLFLOW_LOGGING_LEVEL": "CRITICAL",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


class Tracker:
    """Sends a study to MLflow from a process of its own, from `start` to `finish`. Nothing it meets is ever raised.

    `artifacts` is the folder for artifacts of a local store; a server has its own place. `warnings` holds what a person
    should know, `last_error` what keeps MLflow from being up to date now, without credentials.
    """

    def __init__(self, ledger_url: str, tracking_uri: str, study_name: str, artifacts: Path | str | None = None, *,
                 poll_seconds: float = POLL_SECONDS) -> None:
        local = artifacts is not None and not tracking_uri.startswith(("http:", "https:", "databricks"))
        self._settings = {"ledger": ledger_url, "uri": tracking_uri, "study": study_name, "poll_seconds": poll_seconds,
                          "artifacts": Path(artifacts).absolute().as_uri() if local and artifacts else None}
        self._lock, self._over, self._answered = threading.Lock(), threading.Event(), threading.Event()
        self._child: subprocess.Popen[str] | None = None
        self._ending: dict[str, Any] | None = None
        self._last_lines: deque[str] = deque(maxlen=_LINES_KEPT)
        self._warnings: deque[str] = deque(maxlen=_TEXTS_KEPT)
        self._watcher = threading.Thread(target=self._watch, name="tracking", daemon=True)
        self._say: Callable[[str], None] = lambda _text: None
        self._behind, self._ended, self._heard_at = 0, False, 0.0
        self.last_error: str | None = None

    def __repr__(self) -> str:
        return f"Tracker({self._settings['study']!r}, {hide_secrets(str(self._settings['uri']))})"

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know, each once, oldest first."""
        return tuple(self._warnings)

    def start(self, say: Callable[[str], None] = lambda _text: None) -> None:
        """Begin sending. Returns at once; MLflow opens meanwhile. `say` is told each warning as it comes, by a thread."""
        self._say = say
        self._watcher.start()

    def lag(self) -> int:
        """How many trials have a change that MLflow does not have yet, as of the sender's last word."""
        return self._behind

    def finish(self, results: "StudyResults | None" = None, report: Path | None = None, *, timeout: float = 60.0,
               state: str = FINISHED) -> bool:
        """Send the rest, put the answer on the parent run, end. True when MLflow has everything.

        Waits while it gets on, at most `timeout` seconds for the next sign of that, and not for what only a person can
        mend. `state` is the sweep's: with INTERRUPTED the parent run stays open.
        """
        if not self._watcher.is_alive():
            return False
        with tempfile.TemporaryDirectory(prefix="mixup-sweep-") as folder:
            files = _files(results, report, Path(folder)) if results else []
            summary = describe(results, files, state) if results else Summary(state=state)
            self._end_with(summary.to_dict())
            self._heard_at = time.monotonic()
            while not self._answered.wait(0.05) and time.monotonic() < self._heard_at + timeout:
                pass
            self.close()
        return self._ended

    def close(self) -> None:
        """End the sending process now; what was not sent is sent by a later `sync`."""
        self._over.set()
        with self._lock:
            child = self._child
        if child and child.poll() is None:
            _shut(child.stdin)
            try:
                child.wait(5.0)
            except subprocess.TimeoutExpired:
                child.kill()
        if self._watcher.is_alive():
            self._watcher.join(5.0)

    def _end_with(self, summary: dict[str, Any]) -> None:
        with self._lock:
            self._ending = summary
            if self._child:
                _tell(self._child, {"end": summary})

    def _watch(self) -> None:
        """Keep a sender alive until `close`. When one dies, of a defect or a killer, the next begins where it was."""
        while not self._over.is_set():
            try:
                child = self._spawn()
            except OSError as error:  # too many processes, no memory
                self._note({"error": f"the process that sends to MLflow cannot be started: {error}"})
            else:
                self._follow(child)
            self._over.wait(RESTART_SECONDS)

    def _follow(self, child: "subprocess.Popen[str]") -> None:
        assert child.stdout
        for line in child.stdout:
            self._hear(line)
        _shut(child.stdout)
        if child.wait() and not self._over.is_set():
            last = self._last_lines[-1] if self._last_lines else "no word"
            self._note({"error": f"the process that sends to MLflow ended with {child.returncode}: {last}"})

    def _spawn(self) -> "subprocess.Popen[str]":
        # a session of its own: Ctrl-C on the terminal is the driver's to handle
        child = subprocess.Popen([sys.executable, "-m", "sweeps.tracking.child"], stdin=subprocess.PIPE, text=True,
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment(), errors="replace",
                                 encoding="utf-8", start_new_session=True)
        with self._lock:
            self._child = child
            _tell(child, self._settings)
            if self._ending is not None:
                _tell(child, {"end": self._ending})
            if self._over.is_set():
                _shut(child.stdin)
        return child

    def _hear(self, line: str) -> None:
        try:
            self._note(json.loads(line)["tracking"])
        except (ValueError, KeyError, TypeError):  # a library's own words
            if line.strip():
                self._last_lines.append(hide_secrets(line.strip()))

    def _note(self, words: dict[str, Any]) -> None:
        self._behind = words.get("behind", self._behind)
        if "error" in words:
            self.last_error = words["error"]
            self._heard_at = self._heard_at if self.last_error else time.monotonic()
        if (text := words.get("warning")) and text not in self._warnings:
            self._warnings.append(text)
            with suppress(OSError, ValueError):  # nobody looks any more
                self._say(text)
        if "ended" in words:
            self._ended = bool(words["ended"])
            self._answered.set()


def sync(home: Home, study_name: str, results: "StudyResults", report: Path | None = None, *,
         timeout: float = 60.0) -> None:
    """Bring MLflow up to date with the ledger and wait for it, at most `timeout` seconds for a sign that it gets on.

    InfrastructureError, with the cause, when it cannot be.
    """
    check(home.tracking_uri)
    tracker = Tracker(home.ledger, home.tracking_uri, study_name, home.artifacts)
    tracker.start()
    state = FINISHED if _is_complete(results) else INTERRUPTED
    if not tracker.finish(results, report, timeout=timeout, state=state):
        causes = [tracker.last_error] if tracker.last_error else [*tracker.warnings] or [f"not done in {timeout:.0f} s"]
        raise InfrastructureError(f"MLflow does not have everything: {'; '.join(causes)}")


def _is_complete(results: "StudyResults") -> bool:
    return not any(results.counts.get(state) for state in (PENDING, RUNNING, INTERRUPTED))


def _files(results: "StudyResults", report: Path | None, folder: Path) -> list[tuple[str, str | None]]:
    """The report, under that name, what was found of the study as a whole, and every figure as a small page that loads
    plotly from its public address."""
    from sweeps.figures import PLOT_CONFIG, figures
    found: list[tuple[str, str | None]] = []
    if report:
        shutil.copyfile(report, folder / "report.html")
        found.append((str(folder / "report.html"), None))
    if results.findings and results.findings.transfer:
        (folder / FINDINGS_FILE).write_text(json.dumps({TRANSFER: results.findings.transfer}))
        found.append((str(folder / FINDINGS_FILE), None))
    for name, figure in figures(results).items():
        figure.write_html(folder / f"{name}.html", include_plotlyjs="cdn", config=PLOT_CONFIG)
        found.append((str(folder / f"{name}.html"), "figures"))
    return found


def _tell(child: "subprocess.Popen[str]", words: dict[str, Any]) -> None:
    try:
        assert child.stdin
        child.stdin.write(json.dumps(words) + "\n")
        child.stdin.flush()
    except OSError:  # it died: the next one is told
        pass


def _shut(stream: IO[str] | None) -> None:
    try:
        if stream:
            stream.close()
    except OSError:
        pass
