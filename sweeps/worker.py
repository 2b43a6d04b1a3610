"""The warm worker: a Ray Trainable that imports torch once and then runs trial after trial.

Owns the passage between Tune's calls (setup, step, reset, stop) and an Attempt. Nothing of one trial is left for the next.
Refuses to know the ledger, the sampler and what a trial does.
"""

import importlib
import json
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import ray
from ray import tune

from sweeps.attempt import Attempt, Order, Place, Runner

if TYPE_CHECKING:
    from trainable.data import Source

RUN_TRIAL = "trainable.trial:run_trial"
ORDER, REPORT = "order", "report"
"""Keys under which an Order travels to a worker and a Report back, as JSON text: Tune copies and flattens nested values."""


class Worker(tune.Trainable):
    """One process on one node. `source` lies in the object store, shared by all workers of the node without a copy."""

    def setup(self, config: dict[str, Any], *, source: "Source", place: Place, num_threads: int,  # type: ignore[override]
              runner: Runner | str) -> None:
        """Import what trials need and begin the first one. Called once a process."""
        from trainable.device import limit_threads, release_memory

        limit_threads(num_threads)
        self._release_memory = release_memory
        logging.getLogger("ray").setLevel(logging.ERROR)
        self._source = source
        self._place = replace(place, node=ray.get_runtime_context().get_node_id()[:12])
        self._runner = _imported(runner) if isinstance(runner, str) else runner
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Leave the trial of before, and begin the next."""
        order = Order.from_json(new_config[ORDER])
        self._attempt.close(keep=self._key not in order.dropped)
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train until the next report is due."""
        report = self._attempt.report()
        if report.end:
            self._release_memory()
        return {REPORT: json.dumps(report.to_dict()), "done": report.end is not None}

    def cleanup(self) -> None:
        """The process ends: an unfinished trial keeps a checkpoint."""
        self._attempt.close(keep=True)

    def _begin(self, config: dict[str, Any]) -> None:
        order = Order.from_json(config[ORDER])
        self._key = order.spec.key
        self.config = {}  # else it travels back with every result
        self._attempt = Attempt(order.spec, self._source, self._place, order.rungs, self._runner)


def _imported(path: str) -> Runner:
    module, _, name = path.partition(":")
    runner: Runner = getattr(importlib.import_module(module), name)
    return runner
