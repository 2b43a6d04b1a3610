"""What is particular to a ledger in PostgreSQL: how long its connections wait before they say that something is wrong.

Without these a network that swallows packets, or another session's forgotten lock, would hold the driver for ever.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Engine
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

_CONNECTION = {
    "connect_timeout": 10,  # s
    "keepalives_idle": 10,  # s, then three probes
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # ms without an acknowledgement
    "application_name": "mixup-sweeps",
}
_IDLE_TRANSACTION_SECONDS = 30
"""A driver suspended within a transaction loses it after so long, so that its lock does not outlive its lease."""

_REFUSALS = ("password authentication failed", "no password supplied", "does not exist", "no pg_hba.conf entry")
"""Of a connection that was not made the driver keeps only the words, not the server's code."""


def connection_options(url: URL) -> dict[str, Any]:
    """Timeouts for each connection, where the address does not set its own."""
    return {name: value for name, value in _CONNECTION.items() if name not in url.query}


def prepare(engine: Engine, *, wait_seconds: float) -> None:
    """Make every connection of `engine` report another session's lock after `wait_seconds`."""

    def configure(connection: Any, _record: Any) -> None:
        connection.execute(f"SET lock_timeout = '{round(1000 * wait_seconds)}ms'")
        connection.execute(f"SET idle_in_transaction_session_timeout = '{_IDLE_TRANSACTION_SECONDS}s'")
        connection.commit()

    sa.event.listen(engine, "connect", configure)


def is_refused(error: DBAPIError) -> bool:
    """Whether the server answered and will not have us: a wrong password, user or database, which waiting does not mend."""
    return any(sign in str(error.orig) for sign in _REFUSALS)


def obstacle(url: str, wait_seconds: int) -> tuple[str, bool] | None:
    """What keeps us from the database at `url`, without its password, and whether only a person can mend it; None: nothing does.

    Asked for a database that another library will open and would try for minutes before it said so (MLflow: 100 s).
    """
    try:
        parsed = sa.make_url(url)
        engine = sa.create_engine(parsed, hide_parameters=True, connect_args={"connect_timeout": wait_seconds})
    except (ArgumentError, NoSuchModuleError, ValueError):
        return "this address cannot be read", True
    except ImportError as error:
        return f"{error}; write postgresql+psycopg:// and pip install 'mixup-sweeps[postgres]'", True
    try:
        engine.connect().close()
    except DBAPIError as error:
        cause = " ".join(str(error.orig).split())
        return cause.replace(str(parsed.password), "***") if parsed.password else cause, is_refused(error)
    finally:
        engine.dispose()
    return None
