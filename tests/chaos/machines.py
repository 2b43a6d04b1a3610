"""Machines of a Ray cluster, as process trees on this one: a head without processors, and nodes that can be killed or added.

How Ray 2.60 tells of a loss, measured with the settings below. A killed worker process: at once, "its worker process has died".
A killed or frozen machine: when the health check gives it up, about a second, "because its node has died" (by Ray's own
settings 14 s, and a frozen one more). A driver that does not wait for that news, as Ray's own setting of 1 s has it, is told
"temporarily unavailable" instead, with every machine still listed as alive. Without any machine left Tune waits for ever and
says nothing. A dead head: the driver's main thread blocks at Tune's next trial, other threads run on, and after 60 s
(RAY_gcs_rpc_server_reconnect_timeout_s) Ray ends the process with 1 and without an exception.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil

from tests.chaos.runs import ROOT

QUICK = {"RAY_health_check_initial_delay_ms": "1000", "RAY_health_check_period_ms": "500", "RAY_health_check_timeout_ms": "3000",
         "RAY_health_check_failure_threshold": "3"}


@contextmanager
def set_for_children(**values: str) -> Iterator[None]:
    """Environment variables for the processes started meanwhile."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})


def kill_tree(pid: int) -> None:
    """SIGKILL a process and all it has started, the parent first: a machine that loses its power tells nobody."""
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        for process in [parent, *parent.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                process.kill()


class Machines:
    """A cluster whose head runs no trial, and its machines of one processor each."""

    def __init__(self, count: int) -> None:
        from ray.cluster_utils import Cluster
        self._environment = {"RAY_AUTH_MODE": "disabled", "PYTHONPATH": str(ROOT), **QUICK}
        with set_for_children(**self._environment):
            self._cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        self._alive: list[Any] = []
        self.add(count)

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def add(self, count: int = 1) -> None:
        for _ in range(count):
            with set_for_children(**self._environment):
                self._alive.append(self._cluster.add_node(num_cpus=1))

    def fill(self, count: int) -> None:
        """As many machines as this, whatever became of the earlier ones."""
        for _ in range(len(self._alive) - count):
            self.kill()
        self.add(count - len(self._alive))

    def kill(self, *, node: str | None = None) -> str:
        """A machine loses its power: the one whose id begins so, or any. Its id."""
        victim = next(each for each in self._alive if node is None or each.node_id.startswith(node))
        self._alive.remove(victim)
        kill_tree(_raylet(victim))
        return str(victim.node_id)

    def kill_head(self) -> None:
        for infos in self._cluster.head_node.all_processes.values():
            for info in infos:
                kill_tree(info.process.pid)

    def close(self) -> None:
        """End every process of the cluster. Those killed before are known to Ray as processes to be ended, so no `shutdown`."""
        nodes = [self._cluster.head_node, *self._cluster.worker_nodes]
        for node in nodes:
            for infos in node.all_processes.values():
                for info in infos:
                    kill_tree(info.process.pid)
                    info.process.wait(30)


def _raylet(node: Any) -> int:
    return int(node.all_processes["raylet"][0].process.pid)
