"""The tables of the database of errors, alike in SQLite and PostgreSQL.

Times are seconds since 1970, rounded to microseconds, so that a ``datetime`` gives them back
to the bit.  Contexts and chains are JSON as text: what was logged may hold what PostgreSQL's
``jsonb`` refuses.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Double, Index, Integer, MetaData, Table, Text

SCHEMA_VERSION = 1

metadata = MetaData()

schema = Table(
    "monitoring_error_schema",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
)

streams = Table(
    "monitoring_error_streams",
    metadata,
    Column("stream", Text, primary_key=True),
    Column("last", BigInteger, nullable=False),
)

groups = Table(
    "monitoring_error_groups",
    metadata,
    Column("fingerprint", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("error_type", Text, nullable=False),
    Column("component", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("last_release", Text),
    Column("status", Text, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("first_seen", Double, nullable=False),
    Column("last_seen", Double, nullable=False),
    Column("resolved_at", Double),
)

events = Table(
    "monitoring_error_events",
    metadata,
    Column("id", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("time", Double, nullable=False),
    Column("error_type", Text, nullable=False),
    Column("component", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("service", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("release", Text),
    Column("trace_id", Text),
    Column("span_id", Text),
    Column("context", Text, nullable=False),
    Column("chain", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
)

# The bytes are in it so that what is kept can be added up without reading the events.
Index("monitoring_error_events_by_time", events.c.time, events.c.id, events.c.bytes)
Index("monitoring_error_events_by_group", events.c.fingerprint, events.c.time, events.c.id)
Index("monitoring_error_groups_by_time", groups.c.last_seen)
