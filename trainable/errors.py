"""The one tree of errors. Every error a user can cause is in it, so that the command line shows a text, not a traceback.

    MixupSweepError
    +-- ConfigError            a field of TrialConfig is unknown or out of range (all of them at once)
    +-- DataError              a dataset is missing, damaged or too small
    +-- ModelError             a model does not exist or cannot take this data
    +-- Diverged               a loss became NaN or infinite
    +-- CheckpointError        a checkpoint is damaged or belongs to another trial
    +-- StudyError             a study file is wrong (all problems at once, each with its line)
    +-- LedgerError            the ledger cannot be opened, read or written
    |   +-- StudyLocked        another driver holds this study
    |   +-- StudyChanged       the study file no longer matches what the ledger recorded
    +-- InfrastructureError    Ray, MLflow or the storage is not reachable or has too few resources
        +-- AddressError       what was named as the address of a Ray cluster is none, or nobody answers there
"""

from dataclasses import dataclass


class MixupSweepError(Exception):
    """Root of the tree."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with one field: enough to fix it without opening the code."""

    field: str
    value: object
    allowed: str

    def __str__(self) -> str:
        return f"{self.field} = {self.value!r}: {self.allowed}"


class ConfigError(MixupSweepError):
    """Fields of a TrialConfig are unknown or out of range; `problems` holds every one of them."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = problems

    def __reduce__(self) -> tuple[type["ConfigError"], tuple[list[Problem]]]:
        return ConfigError, (self.problems,)


class DataError(MixupSweepError):
    """A dataset is missing, damaged or too small for what was asked."""


class ModelError(MixupSweepError):
    """A model does not exist or cannot take this data."""


class Diverged(MixupSweepError):
    """A loss became NaN or infinite. Raised at the epoch where it happened."""


class CheckpointError(MixupSweepError):
    """A checkpoint is damaged, or belongs to another trial."""


class StudyError(MixupSweepError):
    """A study file is wrong. The text lists every problem, one a line, each with file:line."""


class LedgerError(MixupSweepError):
    """The ledger cannot be opened, read or written."""


class StudyLocked(LedgerError):
    """Another driver holds this study."""


class StudyChanged(LedgerError):
    """The study file differs from what the ledger recorded in a part that may not change."""


class InfrastructureError(MixupSweepError):
    """Ray, MLflow or the storage is not reachable, or has too few resources."""


class AddressError(InfrastructureError):
    """The address given for a Ray cluster is no address, or nobody answers there: nothing has been started."""
