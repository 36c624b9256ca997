"""Which libraries are instrumented by whom: by us, by OpenTelemetry's instrumentors, or by both.

OpenTelemetry's names are those of its packages, without ``opentelemetry-instrumentation-``;
they are from its own list (opentelemetry-python-contrib 0.66b2,
``opentelemetry/instrumentation/bootstrap_gen.py``).
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

PACKAGE = "opentelemetry-instrumentation-{}"

FRAMEWORKS = ("fastapi", "starlette", "flask", "django")
"""Web frameworks whose applications we measure, by the names of their distributions."""

CLIENTS = ("httpx2", "httpx", "requests", "aiohttp", "urllib3", "niquests")
"""HTTP clients that we measure."""

LEFT_TO_US = frozenset({"asgi", "django", "fastapi", "flask", "starlette", "wsgi"})
"""Instrumentors that have nothing to add: requests are measured by us, and are spans by us too."""

SPANS_ONLY = frozenset({"aiohttp-client", "aiohttp_client", "httpx", "httpx2", "requests", "urllib3"})
"""Instrumentors whose spans are wanted, and whose metrics tell again what ours tell."""

INSTRUMENTED_BY_OTHERS = {
    "aio-pika": "aio-pika",
    "aiokafka": "aiokafka",
    "aiopg": "aiopg",
    "asyncpg": "asyncpg",
    "boto3": "botocore",
    "cassandra-driver": "cassandra",
    "celery": "celery",
    "confluent-kafka": "confluent-kafka",
    "falcon": "falcon",
    "grpcio": "grpc",
    "kafka-python": "kafka-python",
    "mysql-connector-python": "mysql",
    "mysqlclient": "mysqlclient",
    "pika": "pika",
    "psycopg": "psycopg",
    "psycopg2": "psycopg2",
    "psycopg2-binary": "psycopg2",
    "pymemcache": "pymemcache",
    "pymongo": "pymongo",
    "pymssql": "pymssql",
    "pymysql": "pymysql",
    "pyramid": "pyramid",
    "redis": "redis",
    "tornado": "tornado",
    "tortoise-orm": "tortoiseorm",
}
"""The instrumentation that OpenTelemetry has for a distribution which we do not measure ourselves.

SQLAlchemy is not here: it comes with us, and says nothing of what the application uses.
"""


def installed_version(distribution: str) -> str | None:
    """Return the version of a distribution; None where it is not installed."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
