"""The database of errors on a PostgreSQL server."""

from __future__ import annotations

import re
from contextlib import nullcontext
from typing import TYPE_CHECKING

import psycopg
from sqlalchemy import URL, cast, create_engine, event, func, literal, select
from sqlalchemy.dialects.postgresql import REGCLASS, insert

from otel_monitoring.errors.database.tables import metadata

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection, Engine
    from sqlalchemy.dialects.postgresql import Insert
    from sqlalchemy.sql import TableClause

_SCHEMA_LOCK = 0x6F_74_65_6C_65_72_72
"""The advisory lock under which the tables are made; any number that nobody else takes."""

_STATEMENT_SECONDS = 30.0
_IDLE_SECONDS = 60.0
"""After which the server ends a transaction whose process has stopped, and with it its locks."""

_SHOWN_CHARACTERS = 300

_FAILURES = {
    "08": ("the connection broke", True),
    "25006": ("it takes no writes: it is a standby, or set to be read only", True),
    "28": ("it does not let this user in: look at the user, the password and pg_hba.conf", False),
    "3D": ("there is no such database: make it with CREATE DATABASE", False),
    "3F": ("there is no such schema: make it with CREATE SCHEMA, or set the user's search_path", False),
    "40": ("other transactions were in the way", True),
    "42501": ("this user lacks a permission: GRANT it CREATE on the schema, and all on the monitoring tables", False),
    "53": ("it has no room for this, on its disk, in its memory or among its connections", True),
    "55P03": ("another transaction holds a lock for too long", True),
    "57014": ("it took too long", True),
    "57": ("it stops, starts or has broken down", True),
    "58": ("its system has a fault: look at its log", True),
}
"""What an SQLSTATE means, by its beginning; the longest that fits counts.

https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

_BLAMES_RECORD = ("22", "23", "54")

_LASTING = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry|does not exist|permission denied"
    r"|not permitted to log in|invalid \S+ value|invalid connection option|does not support SSL|certificate",
)
"""What libpq says where trying again does not help; there is no code before a connection stands."""


class PostgreSQLServer:
    """One database of a server.

    Args:
        url: where it is.
        wait_seconds: how long to wait for a connection or a lock.
    """

    def __init__(self, url: URL, *, wait_seconds: float) -> None:
        self._url = url.set(drivername="postgresql+psycopg")
        self._wait_seconds = wait_seconds
        self.shown = URL.create("postgresql", host=url.host, port=url.port, database=url.database).render_as_string()
        self._secrets = [text for text in (url.password, url.query.get("password")) if isinstance(text, str) and text]

    def working(self) -> AbstractContextManager[None]:
        """Do something with the server; a fork need not wait for that."""
        return nullcontext()

    def insert(self, table: TableClause) -> Insert:
        """Begin an INSERT that can say what happens to a row that is there already."""
        return insert(table)

    def engine(self) -> Engine:
        """Return connections to the server; what the URL itself says of them counts."""
        ours = {
            "application_name": "otel-monitoring",
            "client_encoding": "utf8",
            "prepare_threshold": None,  # a proxy may give each transaction another server connection
            "connect_timeout": max(2, round(self._wait_seconds)),
            # A server that vanishes without a word is noticed.
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 30_000,
        }
        engine = create_engine(
            self._url,
            connect_args={name: value for name, value in ours.items() if name not in self._url.query},
            pool_size=1,
            max_overflow=3,
            pool_timeout=self._wait_seconds,
            pool_pre_ping=True,
            hide_parameters=True,
        )
        event.listen(engine, "begin", self._begin)
        return engine

    def make(self) -> tuple[int, ...]:
        """Do nothing: the server is there already."""
        return ()

    def take_turn(self, connection: Connection, /) -> None:
        """Wait until no other process makes the tables."""
        connection.execute(select(func.pg_advisory_xact_lock(_SCHEMA_LOCK)))

    def size_bytes(self, connection: Connection, /) -> int:
        """Return what the tables and their indexes take on the server's disk."""
        sizes = [func.pg_total_relation_size(cast(literal(name), REGCLASS)) for name in metadata.tables]
        return sum(connection.execute(select(*sizes)).one())

    def free(self) -> bool:
        """Do nothing: the server sees to it itself."""
        return False

    def failure(self, error: Exception) -> tuple[str, bool] | None:
        """Return what went wrong and whether it passes; None where it is none of psycopg's errors."""
        if not isinstance(error, psycopg.Error):
            return None
        if error.sqlstate is None:
            said = self._said(str(error))
            lasting = bool(_LASTING.search(said)) or not isinstance(error, psycopg.OperationalError)
            return f"it cannot be reached ({said})", not lasting
        found = max((start for start in _FAILURES if error.sqlstate.startswith(start)), key=len, default="")
        text, passing = _FAILURES.get(found, ("it refuses", False))
        return f"{text} ({self._said(error.diag.message_primary or error.sqlstate)})", passing

    def blames_record(self, error: Exception) -> bool:
        """Tell whether an error is the fault of what was to be written."""
        if not isinstance(error, psycopg.Error):
            return False
        return isinstance(error, psycopg.DataError) or (error.sqlstate or "").startswith(_BLAMES_RECORD)

    def _begin(self, connection: Connection) -> None:
        """Set bounds for one transaction: they would stay with a connection that a proxy gives to others."""
        bounds = {
            "statement_timeout": _STATEMENT_SECONDS,
            "lock_timeout": self._wait_seconds,
            "idle_in_transaction_session_timeout": _IDLE_SECONDS,
        }
        settings = [f"set_config('{name}', '{round(seconds * 1000)}ms', true)" for name, seconds in bounds.items()]
        connection.exec_driver_sql(f"SELECT {', '.join(settings)}")

    def _said(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return " ".join(text.split())[:_SHOWN_CHARACTERS]
