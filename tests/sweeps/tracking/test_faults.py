"""What went wrong between us and MLflow, in words."""

import pytest

from sweeps.tracking.faults import Gone, Refused, explain
from trainable.errors import LedgerError

URI = "http://me:hunter22@mlflow.example:5000"


class Answer(Exception):
    """An error as MLflow raises it."""

    def __init__(self, error_code: str, text: str = "no") -> None:
        super().__init__(text)
        self.error_code = error_code


@pytest.mark.parametrize(("error", "part", "permanent"), [
    (Answer("UNAUTHENTICATED"), "MLFLOW_TRACKING_PASSWORD", True),
    (Answer("PERMISSION_DENIED"), "MLFLOW_TRACKING_USERNAME needs permission", True),
    (Answer("PERMISSION_DENIED", "Invalid Host header - possible DNS rebinding"), "--allowed-hosts", True),
    (Answer("INTERNAL_ERROR", "... [Errno 111] Connection refused ..."), "is it running?", False),
    (Answer("INTERNAL_ERROR", "Read timed out. (read timeout=10)"), "did not answer in time", False),
    (Answer("INTERNAL_ERROR", "too many 503 error responses"), "unavailable", False),
    (Answer("INTERNAL_ERROR", "too many 429 error responses"), "fewer requests", False),
    (Answer("TEMPORARILY_UNAVAILABLE", "(sqlite3.OperationalError) database is locked"), "locked", False),
    (Answer("WHATEVER", "something\n  else"), "something else (Answer WHATEVER)", False),
    (Refused("MLflow does not take a value"), "does not take a value", True),
    (Gone("vanished"), "vanished", False),
    (LedgerError("ledger x: locked"), "ledger x", False),
    (ZeroDivisionError("oops"), "oops", False),
])
def test_a_fault_says_what_to_look_at_and_whether_waiting_helps(error: Exception, part: str, permanent: bool) -> None:
    fault = explain(error, URI, {})
    assert part in fault.text
    assert fault.permanent is permanent
    assert "hunter22" not in fault.text
    assert fault.is_busy is ("too many" in str(error))


def test_secrets_of_the_environment_are_hidden_and_their_names_are_told() -> None:
    environ = {"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": "correct horse"}
    assert "correct horse" not in explain(Answer("X", "bad: correct horse"), URI, environ).text
    text = explain(Answer("UNAUTHENTICATED"), URI, environ).text
    assert "set now: MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD" in text
    assert "none of them is set" in explain(Answer("UNAUTHENTICATED"), URI, {}).text
