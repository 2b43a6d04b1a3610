"""Trials for tests of the MLflow projection: a study in a ledger, and reports that a trial gives whenever it is run."""

from dataclasses import replace
from typing import Any

from sweeps.ledger import Ledger
from sweeps.records import FAILED, FINISHED, MEASURE, End, Report, Row, StudyRecord, TrialRecord, TrialSpec
from trainable.config import TrialConfig

BEGAN = 1.7e9
DATA_DIGEST = "0123456789abcdef"
EPOCHS = 5
METRICS = ("train/loss", "train/excess_loss", "train_clean/error", "train_clean/loss", "val/error", "val/loss",
           "gap/error", "gap/loss")
FINAL = ("test/error", "test/loss", "test/brier", "test/ece", "test/entropy", "best/val_error", "best/epoch",
         "cost/seconds", "cost/epochs", "noise/realised")
DIVERGED = End(state=FAILED, failure_class="DIVERGED", failure_text="Traceback\nDiverged: epoch 3: loss is nan")


def begin(ledger: Ledger, name: str = "digits") -> StudyRecord:
    """A study in the ledger, as a driver leaves it before the first trial."""
    study = ledger.register_study(name, {"name": name}, {"name": name}, BEGAN)
    ledger.set_study(study.id, data_digest=DATA_DIGEST, versions={"ray": "2.54"}, api_token="tok-123456")
    found = ledger.study(name)
    assert found
    return found


def spec(number: int, **fields: Any) -> TrialSpec:
    """Trial `number` of a ladder; `fields` are of its TrialConfig."""
    config = TrialConfig(**{"alpha": 0.4, "split": 1, "repeat": number, "epochs": EPOCHS, "width": 0.5, **fields})
    return TrialSpec(key=config.trial_key("d"), stage=MEASURE, number=number, capacity="width=0.5", origin="ladder",
                     arm_key=config.arm_key(), split=config.split, repeat=number, config=config.to_dict(),
                     setting={"alpha": config.alpha})


def end(number: int) -> End:
    return End(state=FINISHED, metrics={name: number + 0.5 * place for place, name in enumerate(FINAL)},
               num_parameters=731, provenance={"torch": "2.8", "device": "cpu"})


def row(number: int, epoch: int) -> Row:
    """The same trial has the same rows, whoever runs it."""
    values = {name: 0.1 * epoch + 0.001 * number + place for place, name in enumerate(METRICS)}
    return Row(epoch=epoch, at=BEGAN + 10 * number + epoch + 0.125, seconds=1.0, eval_seconds=0.1, metrics=values)


def report(number: int, first: int = 1, last: int = EPOCHS, ends: End | None = None, token: str = "a") -> Report:
    """Epochs `first` to `last` of trial `number`, and how it ended if it did."""
    return Report(key=spec(number).key, token=f"{token}{number}", worker="host:1", node="node", device="cpu",
                  started_at=BEGAN + 10 * number, rows=tuple(row(number, epoch) for epoch in range(first, last + 1)),
                  end=ends)


def ended_at(number: int) -> float:
    return BEGAN + 10 * number + 6


def run(ledger: Ledger, study_id: int, *numbers: int) -> None:
    """These trials, from nothing to FINISHED."""
    for number in numbers:
        ledger.add_trial(study_id, spec(number), BEGAN)
        ledger.append(study_id, report(number, ends=end(number)), ended_at(number))


def trial(**fields: Any) -> TrialRecord:
    """A finished trial as a record, without a ledger."""
    made = spec(0)
    known = {name: getattr(made, name) for name in ("key", "stage", "number", "capacity", "arm_key", "split", "repeat",
                                                    "config", "setting", "origin", "brain")}
    plain = TrialRecord(id=1, study_id=1, state=FINISHED, failure_class=None, failure_text=None, metrics=end(0).metrics,
                        num_parameters=731, predictions_path=None, predictions_digest=None, provenance={}, revision=1,
                        last_epoch=EPOCHS, created_at=BEGAN, started_at=BEGAN + 1, ended_at=BEGAN + 6, **known)
    return replace(plain, **fields)
