"""Addresses of MLflow: which are allowed, whether anything answers there, where its pages are. Never imports mlflow.

Owns the quick look before a run. Whether MLflow also takes what it is sent, only the sender finds out.
"""

import base64
import http.client
import json
import os
import sqlite3
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from contextlib import closing
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from sweeps.home import Home
from sweeps.ledger.postgres import obstacle
from sweeps.tracking.faults import CREDENTIALS, HOST_HEADER, PERMISSION, Refused, credentials_given, hide_secrets
from trainable.errors import InfrastructureError

PATIENCE_SECONDS = 5.0
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
BACKEND_STORE = "MLFLOW_BACKEND_STORE_URI"
_API = "/api/2.0/mlflow/experiments"


def check(uri: str, environ: Mapping[str, str] = os.environ) -> None:
    """Whether `uri` can be MLflow's, within seconds.

    InfrastructureError when it is of a kind that is not supported, when the server or PostgreSQL does not answer or refuses
    the credentials or the host name, or when a SQLite file cannot be written there.
    """
    shown, scheme = hide_secrets(uri, environ), uri.partition(":")[0].partition("+")[0]
    if scheme in ("http", "https"):
        _check_server(uri, shown, environ)
    elif scheme == "sqlite":
        _check_file(uri)
    elif scheme == "postgresql":
        check_database(uri, environ)
    elif scheme not in (*_DATABASES, "databricks", "databricks-uc"):
        raise InfrastructureError(
            f"tracking_uri = {shown}: MLflow keeps runs in plain folders no more; allowed are sqlite:///path/file.db, "
            "http(s)://server, postgresql://user@host/database, or nothing for a SQLite file under SWEEP_HOME")


def check_database(uri: str, environ: Mapping[str, str] = os.environ) -> None:
    """InfrastructureError, within seconds, when PostgreSQL at `uri` does not answer; Refused when it will not let us in."""
    if not uri.startswith("postgresql"):
        return
    if found := obstacle(uri, int(PATIENCE_SECONDS)):
        cause, refused = found
        raise (Refused if refused else InfrastructureError)(
            f"MLflow's database {hide_secrets(uri, environ)}: {hide_secrets(cause, environ)}; user, password, host and name "
            "stand in --tracking-uri or MLFLOW_TRACKING_URI")


def pause_asked(uri: str, environ: Mapping[str, str] = os.environ) -> float:
    """How many seconds a server that answers 503 or 429 asks us to wait (Retry-After); 0 when it does not say.

    Asked with a request of our own: MLflow's client keeps an answer's status and drops its headers.
    """
    if not uri.startswith(("http:", "https:")):
        return 0.0
    try:
        _ask(uri, f"{_API}/search?max_results=1", environ)
    except urllib.error.HTTPError as error:
        return seconds_of(error.headers.get("Retry-After", ""), time.time()) if error.code in (429, 503) else 0.0
    except (OSError, ValueError, http.client.HTTPException):
        pass
    return 0.0


def seconds_of(header: str, now: float) -> float:
    """A Retry-After header, seconds or a date, as seconds from `now`; 0 for one that cannot be read."""
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - now)
    except (TypeError, ValueError):
        return 0.0


def experiment_url(tracking_uri: str, study: str, address: str) -> str:
    """The page of the study's experiment on the server at `address`; the list of experiments before it is known."""
    try:
        found = _experiment_id(tracking_uri, study)
    except (OSError, ValueError, KeyError, sqlite3.Error, http.client.HTTPException):
        found = None
    place = f"/#/experiments/{found}" if found is not None else "/#/experiments"
    return f"{hide_secrets(address).rstrip('/')}{place}"


def server_command(home: Home, port: int) -> list[str]:
    """The command that serves a local MLflow store on 127.0.0.1, its artifacts included.

    The store's address goes with the environment (`BACKEND_STORE`): it may hold a password, and any user of the machine reads
    command lines. Requests that name another host are refused: a page of the web could send them through a browser here.
    """
    return [sys.executable, "-m", "mlflow", "server", "--workers", "1",
            "--artifacts-destination", home.artifacts.absolute().as_uri(), "--host", "127.0.0.1", "--port", str(port),
            "--allowed-hosts", "127.0.0.1,127.0.0.1:*,localhost,localhost:*"]


def _experiment_id(uri: str, study: str) -> str | None:
    if uri.startswith(("http:", "https:")):
        query = urllib.parse.urlencode({"experiment_name": study})
        return str(_ask(uri, f"{_API}/get-by-name?{query}", os.environ)["experiment"]["experiment_id"])
    if not uri.startswith("sqlite:") or not _path(uri).exists():
        return None
    # MLflow itself would take seconds to import; the table and these two columns are as old as its SQL store
    with closing(sqlite3.connect(f"{_path(uri).absolute().as_uri()}?mode=ro", uri=True)) as connection:
        row = connection.execute("SELECT experiment_id FROM experiments WHERE name = ?", (study,)).fetchone()
    return str(row[0]) if row else None


def _check_file(uri: str) -> None:
    path = _path(uri)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InfrastructureError(f"MLflow's file {path}: its folder cannot be made ({error.strerror})") from error
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InfrastructureError(f"MLflow's file {path} cannot be written")
    if path.exists() and path.stat().st_size:
        with path.open("rb") as file:
            if file.read(16) != b"SQLite format 3\0":
                raise InfrastructureError(f"MLflow's file {path} is not an SQLite database")


def _check_server(uri: str, shown: str, environ: Mapping[str, str]) -> None:
    given = credentials_given(environ)
    try:
        answer = _ask(uri, f"{_API}/search?max_results=1", environ)
    except urllib.error.HTTPError as error:
        text = error.read(2000).decode("utf-8", "replace")
        if error.code in (401, 403) and not environ.get("MLFLOW_TRACKING_AUTH"):
            form = CREDENTIALS if error.code == 401 else HOST_HEADER if "host header" in text.lower() else PERMISSION
            raise InfrastructureError(form.format(uri=shown, given=given)) from error
        if error.code == 404:
            raise InfrastructureError(f"{shown} answers, but not as an MLflow server: {error}") from error
        if error.code >= 500:
            raise InfrastructureError(f"MLflow at {shown} is not well: {error}") from error
    except ValueError as error:
        raise InfrastructureError(f"{shown} answers, but not as an MLflow server") from error
    except (OSError, http.client.HTTPException) as error:
        reason = hide_secrets(str(getattr(error, "reason", None) or error), environ)
        raise InfrastructureError(f"MLflow at {shown} does not answer ({reason}): start it, or choose another with "
                                  "--tracking-uri or MLFLOW_TRACKING_URI") from error
    else:
        if not isinstance(answer, dict):
            raise InfrastructureError(f"{shown} answers, but not as an MLflow server")


def _ask(uri: str, path: str, environ: Mapping[str, str]) -> Any:
    parts = urllib.parse.urlsplit(uri)
    user = environ.get("MLFLOW_TRACKING_USERNAME") or urllib.parse.unquote(parts.username or "")
    password = environ.get("MLFLOW_TRACKING_PASSWORD") or urllib.parse.unquote(parts.password or "")
    host = parts.netloc.rpartition("@")[2]
    request = urllib.request.Request(parts._replace(netloc=host).geturl().rstrip("/") + path)
    if user and password:
        request.add_header("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())
    elif token := environ.get("MLFLOW_TRACKING_TOKEN"):
        request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS, context=_tls(environ)) as response:
        return json.load(response)


def _tls(environ: Mapping[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH") or None)
    if environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in ("true", "1"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if certificate := environ.get("MLFLOW_TRACKING_CLIENT_CERT_PATH"):
        context.load_cert_chain(certificate)
    return context


def _path(uri: str) -> Path:
    return Path(uri.removeprefix("sqlite:///").split("?")[0])
