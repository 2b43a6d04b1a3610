"""One thing that does not agree: where, of which trial, what, and the way out. Knows no check."""

from dataclasses import dataclass

LEDGER, SAMPLER, STORAGE, MLFLOW = "ledger", "sampler", "storage", "mlflow"
PLACES = (LEDGER, SAMPLER, STORAGE, MLFLOW)

GO_ON = "`mixup-sweep run` goes on with it"
RESEND = "--repair sends everything again; what is right stays as it is"
DELETE = "--repair deletes it in MLflow, where it can be restored"
WITHDRAW = f"{DELETE}, and sends the trial anew"
REMOVE = "--repair removes it"
BACKUP = "put a backup of the ledger in its place, or run the study under a new name"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """`place` is one of PLACES, `trial` a trial key, or None for what concerns the study. `remedy` says who mends it, and how."""

    place: str
    trial: str | None
    text: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.place}: {f'trial {self.trial}: ' if self.trial else ''}{self.text} ({self.remedy})"


def listed(epochs: list[int]) -> str:
    """`epoch 3`, `epochs 1, 2, 3`, `epochs 1, 2, 3 and 7 more`."""
    shown = ", ".join(map(str, epochs[:3]))
    more = f" and {len(epochs) - 3} more" if len(epochs) > 3 else ""
    return f"epoch{'s' if len(epochs) > 1 else ''} {shown}{more}"
