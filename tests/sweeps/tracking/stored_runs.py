"""What an MLflow store holds of a sweep, as plain values that two stores can be compared by."""

from typing import Any

VOLATILE = ("mlflow.parentRunId", "sweep.cursor", "mlflow.loggedArtifacts", "mlflow.user")


def trial_runs(uri: str, study: str = "digits") -> dict[str, list[dict[str, Any]]]:
    """The active runs of each trial key ('' the parent's), with every point of every metric."""
    from mlflow import MlflowClient
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(study)
    if experiment is None:
        return {}
    found: dict[str, list[dict[str, Any]]] = {}
    for run in client.search_runs([experiment.experiment_id], max_results=1000):
        key = run.data.tags.get("sweep.trial_key", "")
        found.setdefault(key, []).append(_plain(client, run))
    return found


def _plain(client: Any, run: Any) -> dict[str, Any]:
    points = {(name, point.step, point.timestamp, point.value) for name in run.data.metrics
              for point in client.get_metric_history(run.info.run_id, name)}
    data = [(each.dataset.name, each.dataset.digest) for each in run.inputs.dataset_inputs]
    return {"name": run.info.run_name, "status": run.info.status, "start": run.info.start_time, "end": run.info.end_time,
            "params": run.data.params, "points": points, "data": data,
            "tags": {name: value for name, value in run.data.tags.items() if name not in VOLATILE}}
