"""Ray itself: join a cluster or start a local one, and see how many trials fit on it.

Owns Ray's settings and the arithmetic of resources. Refuses to know trials and what they report.
"""

import logging
import math
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray._raylet import Config  # type: ignore[attr-defined]
from ray.tune.execution import class_cache

from sweeps.study import Compute
from trainable.errors import AddressError, InfrastructureError

MAX_TRIALS_PER_GPU = 4
"""Most trials that `gpus: auto` puts on one GPU: a small model leaves it idle, but each process takes memory of its own."""
OBJECT_STORE_BYTES = 192 * 2**20
"""The local object store, beside the data. Reports are small, and Ray's own default is a third of the machine's memory."""
CONNECT_SECONDS = 5.0
SESSION_BYTES = 4 * 2**20
"""What Ray's logs and sockets take, with room to spare: half a megabyte after a short study."""

_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",  # a relative data root means the same in every worker
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # a worker without a GPU sees none
    # How long Ray waits to learn why an actor is silent. A process's death is known at once, a machine's after 15 to 65 s of failed
    # health checks: with Ray's own 1 s it would say "temporarily unavailable" of both, and nobody could tell them apart.
    "RAY_timeout_ms_task_wait_for_death_info": "90000",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # the executor has its own
    "TUNE_GLOBAL_CHECKPOINT_S": "1e9",  # the ledger is the memory; Tune's snapshot would cost more with every trial
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_THRESHOLD_S": "60",
}

_CREDENTIALS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SECURITY_TOKEN", "AWS_SESSION_TOKEN"}
"""What Tune would copy from the driver's environment into the description of each worker, which every node writes to a log.
Workers have their own: those on this machine inherit it, those of a cluster that of `ray start`."""

_AUTHENTICATION = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN")
_TOKEN_FILE = Path.home() / ".ray" / "auth_token"
_OWN_TOKEN = secrets.token_hex(32)  # one for the life of the process, since Ray keeps the first it has seen


@dataclass(frozen=True, kw_only=True)
class Node:
    """Processors and GPUs of one machine."""

    cpus: float
    gpus: float = 0.0

    def fits(self, cpus: float, gpus: float) -> int:
        """How many trials of this size run here at a time. A trial's fraction of a GPU lies on one of them."""
        by_gpu = math.inf if gpus == 0 else self.gpus * _times(1.0, gpus) if gpus < 1 else _times(self.gpus, gpus)
        return int(min(_times(self.cpus, cpus), by_gpu))


@dataclass(frozen=True, kw_only=True)
class Room:
    """What one trial gets, and how many trials run at a time."""

    cpus: float
    gpus: float
    num_workers: int

    @property
    def num_threads(self) -> int:
        return max(1, int(self.cpus))


def room(compute: Compute, nodes: Sequence[Node]) -> Room:
    """Room for a study's trials on these machines. Raises InfrastructureError, with what there is, where none fits.

    `gpus: auto` is an equal share of a GPU, as small as the processors allow and at most MAX_TRIALS_PER_GPU to one.
    """
    gpus = _share_of_gpu(compute.cpus, nodes) if compute.gpus == "auto" else float(compute.gpus)
    if gpus > 1 and gpus != int(gpus):
        raise InfrastructureError(f"compute.gpus = {gpus:g}: must be a fraction of one GPU, or a whole number of them")
    num_fitting = sum(node.fits(compute.cpus, gpus) for node in nodes)
    if num_fitting == 0:
        wanted = f"{compute.cpus:g} CPUs" + (f" and {gpus:g} GPUs" if gpus else "")
        raise InfrastructureError(f"a trial needs {wanted} on one machine (compute.cpus, compute.gpus), "
                                  f"but there is {describe(nodes)}")
    return Room(cpus=compute.cpus, gpus=gpus, num_workers=min(num_fitting, compute.max_concurrent or num_fitting))


def describe(nodes: Sequence[Node]) -> str:
    """What there is, in words: `1 machine with 2 CPUs and 0 GPUs`."""
    kinds = [f"{node.cpus:g} CPUs and {node.gpus:g} GPUs" for node in nodes]
    counts = {kind: kinds.count(kind) for kind in kinds}
    return ", ".join(f"{count} machine{'s' * (count > 1)} with {kind}" for kind, count in counts.items()) or "no machine"


def _share_of_gpu(cpus: float, nodes: Sequence[Node]) -> float:
    sharing = [_times(node.cpus / node.gpus, cpus) for node in nodes if node.gpus and node.cpus >= cpus]
    return 1 / max(1, min(MAX_TRIALS_PER_GPU, max(sharing))) if sharing else 0.0


def _times(whole: float, part: float) -> int:
    """How often `part` goes into `whole`; ten tenths go into one, whatever their round-off."""
    return int(whole / part + 1e-9)


@contextmanager
def connected(address: str | None, data_bytes: int) -> Iterator[list[Node]]:
    """Ray for the time of a sweep: the cluster at `address` or RAY_ADDRESS, else a local one that ends with the sweep.

    A Ray that this process has joined already is used and left as it is. Raises InfrastructureError where there is none to join.
    """
    os.environ.update({name: value for name, value in _SETTINGS.items() if name not in os.environ})
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    class_cache.ENV_VARS_TO_PROPAGATE.difference_update(_CREDENTIALS)
    if ray.is_initialized():
        yield nodes()
        return
    check_address(address or os.environ.get("RAY_ADDRESS"))
    before = {name: os.environ.get(name) for name in _AUTHENTICATION}
    try:
        _init(address or os.environ.get("RAY_ADDRESS"), data_bytes)
        yield nodes()
    finally:
        ray.shutdown()
        for name, value in before.items():  # the next cluster may want another token, or none
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def nodes() -> list[Node]:
    """The machines of the cluster that are alive."""
    found = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [Node(cpus=resources.get("CPU", 0.0), gpus=resources.get("GPU", 0.0)) for resources in found]


def head_answers(address: str) -> bool:
    """Whether the head of the cluster at this HOST:PORT takes connections. Ray itself would wait for a minute, and then end us."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def head_address() -> str:
    """Where the head of the cluster that this process has joined answers: HOST:PORT."""
    return str(ray.get_runtime_context().gcs_address)


def check_address(address: str | None) -> None:
    """AddressError, within seconds, for an address that is none, that nobody answers at, or of Ray Client.

    Ray itself tries an address without an answer for many minutes. Ray Client would run the driver's half elsewhere.
    """
    if address in (None, "auto", "local"):
        return
    where = f"the Ray cluster at {address}"
    if address.startswith("ray://"):
        raise AddressError(f"{where}: Ray Client is not supported; run the driver on a machine of the cluster, with "
                                  "--address auto or --address HOST:6379")
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise AddressError(f"{where}: an address is HOST:PORT, such as 10.0.0.1:6379, or auto")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise AddressError(f"{where} does not answer: {error}") from error


def check_session_folder(environ: Mapping[str, str] = os.environ) -> None:
    """InfrastructureError, naming the folder, where Ray's session would find no room: its processes would wait for each other."""
    folder = Path(environ.get("RAY_TMPDIR") or environ.get("TMPDIR") or tempfile.gettempdir())
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())  # Ray makes what is not
    num_free = shutil.disk_usage(there).free
    if num_free < SESSION_BYTES:
        raise InfrastructureError(f"{folder} has {num_free:,} bytes free, and Ray's session there needs {SESSION_BYTES:,}: "
                                  "make room, or name another folder in RAY_TMPDIR")


def _init(address: str | None, data_bytes: int) -> None:
    quiet: dict[str, Any] = {"include_dashboard": False} if address is None else {}
    if address is None:
        check_session_folder()
        _authenticate("token")
        quiet["object_store_memory"] = OBJECT_STORE_BYTES + 2 * data_bytes
    else:
        _authenticate("token" if _has_token() else "disabled")
    try:
        ray.init(address=address or "local", log_to_driver=False, logging_level=logging.CRITICAL, **quiet)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        where = f"the Ray cluster at {address} cannot be joined" if address else "Ray cannot be started here"
        raise InfrastructureError(f"{where}: {error}") from error


def _authenticate(mode: str) -> None:
    """Say how Ray's processes prove themselves, before any is there; a local cluster gets a token that no file ever holds.

    Ray listens on every interface, so a local cluster without a token would run anybody's code.
    """
    if mode == "token" and not any(os.environ.get(name) for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")):
        check_token_file(_TOKEN_FILE)
    if mode == "token" and not _has_token():
        os.environ["RAY_AUTH_TOKEN"] = _OWN_TOKEN
    os.environ.setdefault("RAY_AUTH_MODE", mode)
    Config.initialize("")  # Ray reads its settings when it is imported, which has happened


def _has_token() -> bool:
    return any(name in os.environ for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")) or _TOKEN_FILE.exists()


def check_token_file(path: Path) -> None:
    """AddressError for a token that others on this machine can read: whoever has it runs code as its owner on every node."""
    if path.exists() and path.stat().st_mode & 0o077:
        raise AddressError(f"Ray's token {path} has mode {path.stat().st_mode & 0o777:04o}, so others can read it: chmod 600 it")
