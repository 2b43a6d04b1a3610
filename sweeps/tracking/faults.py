"""What went wrong between us and MLflow: whether waiting helps, and in words which setting to look at.

Reads MLflow's exceptions by their `error_code` alone, never by their type, so that the driver can use it without
importing mlflow. Credentials never appear in a text made here.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from sweeps.redaction import redact
from trainable.errors import InfrastructureError

MISSING, INVALID = "RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"

_UNKNOWN, _FORBIDDEN = ("UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"), ("PERMISSION_DENIED",)
_SECRETS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_MAX_TEXT = 300
_SIGNS = {"connection refused": "refuses the connection: is it running?", "timed out": "did not answer in time",
          "too many 5": "answers that it is unavailable", "too many 429": "asks for fewer requests",
          "connection reset": "broke off in mid-answer",
          "remotedisconnected": "broke off in mid-answer", "name or service not known": "has a host name nobody knows",
          "name resolution": "has a host name nobody knows", "database is locked": "is locked by another process",
          "disk is full": "has a full disk", "no space left": "has a full disk"}
_BUSY = ("too many 503", "too many 429")

CREDENTIALS = ("MLflow at {uri} refuses the credentials; set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, "
               "or MLFLOW_TRACKING_TOKEN ({given})")
HOST_HEADER = ("MLflow at {uri} refuses the host name in this address: start the server with --allowed-hosts (or "
               "MLFLOW_SERVER_ALLOWED_HOSTS) naming it, or use an address that it allows")
PERMISSION = ("MLflow at {uri} does not let this user write: MLFLOW_TRACKING_USERNAME needs permission to create and "
              "edit the experiment ({given})")


@dataclass(frozen=True)
class Fault:
    """What went wrong, in words, whether only a person can mend it, and whether the server asks for a pause."""

    text: str
    permanent: bool
    is_busy: bool = False


class Refused(InfrastructureError):
    """MLflow takes everything else but will not take this: trying again would give the same answer."""


class Gone(InfrastructureError):
    """A run or the experiment does not exist any more, also not among the deleted ones: it has to be made anew."""


def error_code(error: Exception) -> str:
    """MLflow's code of the error, or '' for an error that is not MLflow's."""
    return str(getattr(error, "error_code", "") or "")


def explain(error: Exception, uri: str, environ: Mapping[str, str] = os.environ) -> Fault:
    """The fault behind `error` when talking to `uri`."""
    code, text, shown = error_code(error), str(error), hide_secrets(uri, environ)
    if code in _UNKNOWN:
        return Fault(CREDENTIALS.format(uri=shown, given=credentials_given(environ)), True)
    if code in _FORBIDDEN:
        form = HOST_HEADER if "host header" in text.lower() else PERMISSION
        return Fault(form.format(uri=shown, given=credentials_given(environ)), True)
    if isinstance(error, InfrastructureError):
        return Fault(hide_secrets(text, environ), isinstance(error, Refused))
    for sign, meaning in _SIGNS.items():
        if sign in text.lower():
            return Fault(f"MLflow at {shown} {meaning}", False, is_busy=any(busy in text.lower() for busy in _BUSY))
    first = " ".join(text.split())[:_MAX_TEXT]
    return Fault(f"MLflow at {shown}: {hide_secrets(first, environ)} ({type(error).__name__} {code})", False)


def credentials_given(environ: Mapping[str, str]) -> str:
    """Which of the settings for credentials are there, never what they hold."""
    names = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
    given = [name for name in names if environ.get(name)]
    return "set now: " + ", ".join(given) if given else "none of them is set now"


def hide_secrets(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """`text` without credentials of a known form, and without those that the environment holds."""
    for name in _SECRETS:
        if len(secret := environ.get(name, "")) >= 4:
            text = text.replace(secret, "***")
    return redact(text)
