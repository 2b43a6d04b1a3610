"""How many trials fit on which machines, and what is said where none does."""

import re
import socket
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from sweeps.cluster import SESSION_BYTES, Node, Room, check_address, check_session_folder, check_token_file, room
from sweeps.study import Compute
from trainable.errors import AddressError, InfrastructureError


def compute(cpus: float = 1, gpus: float | str = "auto", max_concurrent: int | None = None) -> Compute:
    return Compute(cpus=cpus, gpus=gpus, max_concurrent=max_concurrent, retries=2)


LAPTOP, SERVER, GPU_SERVER = Node(cpus=2), Node(cpus=64), Node(cpus=16, gpus=1)


@pytest.mark.parametrize(("asked", "nodes", "expected"), [
    (compute(), [LAPTOP], Room(cpus=1, gpus=0, num_workers=2)),
    (compute(max_concurrent=1), [LAPTOP], Room(cpus=1, gpus=0, num_workers=1)),
    (compute(max_concurrent=9), [LAPTOP], Room(cpus=1, gpus=0, num_workers=2)),
    (compute(cpus=0.5), [LAPTOP], Room(cpus=0.5, gpus=0, num_workers=4)),
    (compute(cpus=0.1), [LAPTOP], Room(cpus=0.1, gpus=0, num_workers=20)),
    (compute(cpus=3), [LAPTOP, SERVER], Room(cpus=3, gpus=0, num_workers=21)),
    (compute(), [LAPTOP, LAPTOP, SERVER], Room(cpus=1, gpus=0, num_workers=68)),
    (compute(), [GPU_SERVER], Room(cpus=1, gpus=0.25, num_workers=4)),
    (compute(cpus=8), [GPU_SERVER], Room(cpus=8, gpus=0.5, num_workers=2)),
    (compute(cpus=16), [GPU_SERVER], Room(cpus=16, gpus=1, num_workers=1)),
    (compute(), [Node(cpus=4, gpus=8)], Room(cpus=1, gpus=1, num_workers=4)),
    (compute(), [LAPTOP, GPU_SERVER], Room(cpus=1, gpus=0.25, num_workers=4)),
    (compute(gpus=0), [LAPTOP, GPU_SERVER], Room(cpus=1, gpus=0, num_workers=18)),
    (compute(gpus=0.1), [GPU_SERVER], Room(cpus=1, gpus=0.1, num_workers=10)),
    (compute(gpus=0.3), [GPU_SERVER], Room(cpus=1, gpus=0.3, num_workers=3)),
    (compute(gpus=2), [Node(cpus=16, gpus=4)], Room(cpus=1, gpus=2, num_workers=2)),
])
def test_trials_fit_where_processors_and_gpus_are_on_one_machine(asked: Compute, nodes: list[Node], expected: Room) -> None:
    assert room(asked, nodes) == expected


@pytest.mark.parametrize(("asked", "nodes", "message"), [
    (compute(cpus=3), [LAPTOP], "a trial needs 3 CPUs on one machine (compute.cpus, compute.gpus), but there is 1 machine "
                                "with 2 CPUs and 0 GPUs"),
    (compute(cpus=3), [LAPTOP, LAPTOP], "but there is 2 machines with 2 CPUs and 0 GPUs"),
    (compute(gpus=1), [LAPTOP], "a trial needs 1 CPUs and 1 GPUs on one machine"),
    (compute(cpus=4, gpus=0.5), [LAPTOP, Node(cpus=2, gpus=1)],
     "1 machine with 2 CPUs and 0 GPUs, 1 machine with 2 CPUs and 1 GPUs"),
    (compute(), [], "but there is no machine"),
    (compute(gpus=1.5), [Node(cpus=8, gpus=4)], "compute.gpus = 1.5: must be a fraction of one GPU, or a whole number of them"),
])
def test_what_does_not_fit_is_said_with_what_there_is(asked: Compute, nodes: list[Node], message: str) -> None:
    with pytest.raises(InfrastructureError) as caught:
        room(asked, nodes)
    assert message in str(caught.value)


@pytest.mark.parametrize(("cpus", "threads"), [(0.25, 1), (1, 1), (1.5, 1), (4, 4)])
def test_a_trial_has_as_many_threads_as_whole_processors(cpus: float, threads: int) -> None:
    assert Room(cpus=cpus, gpus=0, num_workers=1).num_threads == threads


@pytest.mark.parametrize(("address", "message"), [
    ("nonsense", "an address is HOST:PORT, such as 10.0.0.1:6379, or auto"), ("10.0.0.1:", "an address is HOST:PORT"),
    (":6379", "an address is HOST:PORT"), ("10.0.0.1:99999", "an address is HOST:PORT"), ("", "an address is HOST:PORT"),
    ("ray://head:10001", "run the driver on a machine of the cluster, with --address auto"),
    ("127.0.0.1:1", "the Ray cluster at 127.0.0.1:1 does not answer"), ("no.such.host.invalid:6379", "does not answer")])
def test_an_address_that_leads_nowhere_is_refused(address: str, message: str) -> None:
    with pytest.raises(AddressError, match=re.escape(message)):
        check_address(address)


def test_an_address_where_somebody_answers_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        check_address(f"127.0.0.1:{server.getsockname()[1]}")
    check_address("auto")
    check_address(None)


@pytest.mark.parametrize(("num_free", "refused"), [(SESSION_BYTES - 1, True), (SESSION_BYTES, False)])
def test_a_folder_without_room_for_ray_s_session_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, num_free: int,
                                                         refused: bool) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=num_free))
    for name in ("RAY_TMPDIR", "TMPDIR"):
        with pytest.raises(InfrastructureError, match=f"{tmp_path} has .* bytes free") if refused else nullcontext():
            check_session_folder({name: str(tmp_path)})


def test_a_folder_for_ray_s_session_that_is_not_there_yet_is_made_by_ray(tmp_path: Path) -> None:
    check_session_folder({"RAY_TMPDIR": str(tmp_path / "not" / "yet")})


@pytest.mark.parametrize(("mode", "refused"), [(0o600, False), (0o400, False), (0o640, True), (0o644, True)])
def test_a_token_that_others_can_read_is_refused(tmp_path: Path, mode: int, refused: bool) -> None:
    token = tmp_path / "auth_token"
    check_token_file(token)
    token.write_text("x")
    token.chmod(mode)
    with pytest.raises(AddressError, match="so others can read it: chmod 600 it") if refused else nullcontext():
        check_token_file(token)
