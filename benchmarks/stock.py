"""The peer: stock Ray Tune with Ray's own MLflow callback, as its documentation shows it. Prints one number.

`python -m benchmarks.stock KIND N FOLDER`: KIND fresh (a function, a process a trial), reuse (a class, warm actors), or digits
(the default study's trial at width 1, as a function). Prints seconds a trial, or for digits the efficiency.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.update({"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "MLFLOW_DISABLE_TELEMETRY": "true"})

import ray
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback

NAMES = ("train_loss", "train_excess_loss", "train_clean_error", "train_clean_loss", "val_error", "val_loss",
         "gap_error", "gap_loss")
EPOCHS, NUM_WORKERS = 5, 2


def noop(config: dict[str, Any]) -> None:
    import torch  # noqa: F401 - what any real trial needs
    for epoch in range(1, EPOCHS + 1):
        tune.report(dict.fromkeys(NAMES, config["weight_decay"] / epoch))


class Noop(tune.Trainable):
    def setup(self, config: dict[str, Any]) -> None:
        import torch  # noqa: F401
        self.config, self.epoch = config, 0

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.config, self.epoch = new_config, 0
        return True

    def step(self) -> dict[str, Any]:
        self.epoch += 1
        return {**dict.fromkeys(NAMES, self.config["weight_decay"] / self.epoch), "done": self.epoch == EPOCHS}


def digits(config: dict[str, Any]) -> None:
    import torch
    torch.set_num_threads(1)
    from trainable.config import TrialConfig
    from trainable.data import load
    from trainable.trial import run_trial
    trial = TrialConfig(label_noise=0.2, train_size=1000, val_size=297, width=1.0, alpha=8.0, epochs=30, repeat=config["repeat"])
    source = load("digits")
    began = time.perf_counter()
    for row in run_trial(trial, source):
        tune.report({**{name.replace("/", "_"): value for name, value in row.metrics.items()},
                     "training_seconds": time.perf_counter() - began})


def main(kind: str, num_trials: int, folder: Path) -> float:
    ray.init("local", num_cpus=NUM_WORKERS, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    tracking = f"sqlite:///{folder / 'mlflow.db'}"
    callback = MLflowLoggerCallback(tracking_uri=tracking, experiment_name="stock")
    _warm_up(tracking)
    space = {"weight_decay": tune.uniform(0, 1), "repeat": tune.randint(0, 1000)}
    trainable: Any = {"fresh": noop, "reuse": Noop, "digits": digits}[kind]
    # a class is asked for a checkpoint at its end unless told otherwise, and pays for it: neither side saves one here
    options = {"checkpoint_config": tune.CheckpointConfig(checkpoint_at_end=False)} if kind == "reuse" else {}
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}), param_space=space,
        tune_config=tune.TuneConfig(num_samples=num_trials, max_concurrent_trials=NUM_WORKERS, reuse_actors=kind == "reuse"),
        run_config=tune.RunConfig(name="stock", storage_path=str(folder / "tune"), callbacks=[callback], verbose=0, **options))
    began = time.perf_counter()
    results = tuner.fit()
    wall = time.perf_counter() - began
    assert not results.errors
    if kind == "digits":
        trained = sum(result.metrics["training_seconds"] for result in results)
        return trained / (NUM_WORKERS * wall)
    return wall / num_trials


def _warm_up(tracking: str) -> None:
    """Opening a new store runs its migrations: that is not a trial's cost, here as in ours."""
    from mlflow import MlflowClient
    MlflowClient(tracking).search_experiments(max_results=1)


if __name__ == "__main__":
    print(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
