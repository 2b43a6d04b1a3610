"""What is particular to a ledger in PostgreSQL: how long its connections wait before they say that something is wrong.

Without these a network that swallows packets, or another session's forgotten lock, would hold the driver for ever.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Engine

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
