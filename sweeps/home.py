"""Where state lives: the ledger, MLflow, checkpoints, predictions and reports of this user.

One folder, `$SWEEP_HOME` (default `runs/`), and three places that may lie elsewhere. Opens nothing.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Home:
    """Resolved places: `root` a folder on this machine, the others URLs.

    `ledger` and `tracking_uri` are database or server URLs, `storage` any fsspec URL that the driver and every worker reach.
    """

    root: Path
    ledger: str
    tracking_uri: str
    storage: str

    @classmethod
    def resolve(cls, *, ledger: str | None = None, tracking_uri: str | None = None, storage: str | None = None,
                environ: Mapping[str, str] = os.environ) -> "Home":
        """Options first, then `SWEEP_LEDGER`, `MLFLOW_TRACKING_URI`, `SWEEP_STORAGE`, then files under `SWEEP_HOME`."""
        root = Path(environ.get("SWEEP_HOME") or "runs").expanduser().resolve()
        return cls(
            root=root,
            ledger=ledger or environ.get("SWEEP_LEDGER") or f"sqlite:///{root / 'ledger.db'}",
            tracking_uri=tracking_uri or environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{root / 'mlflow.db'}",
            storage=_absolute(storage or environ.get("SWEEP_STORAGE") or str(root)),
        )

    @property
    def artifacts(self) -> Path:
        """Where MLflow keeps artifacts when its store is a local database."""
        return self.root / "mlartifacts"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    def report(self, study: str) -> Path:
        return self.reports / study / "index.html"


def _absolute(storage: str) -> str:
    """A URL as it is, a path made absolute: a worker's own folder is another one."""
    return storage if "://" in storage else str(Path(storage).expanduser().resolve())
