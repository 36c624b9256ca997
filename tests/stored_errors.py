"""Errors as the tests put them into a database, and a look at what is in it by other means."""

from __future__ import annotations

import traceback
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, Unpack

import pytest
from sqlalchemy import NullPool, create_engine, make_url

from otel_monitoring.exceptions import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

    from otel_monitoring.errors.database.database import Database
    from otel_monitoring.errors.stored import FramePayload, Payload

NOON = 1_700_000_000.0
"""When the errors of the tests happen, unless they say otherwise."""

SECRET = "hunter2-of-the-url"
"""A password that is not to be seen anywhere; others begin with hunter2 too."""

MAIL, TRADE = "a" * 16, "b" * 16
"""Two fingerprints."""


class Open(Protocol):
    """Makes a database, and closes it when the test is over."""

    def __call__(
        self, url: str, *, refused: Callable[[Payload, str], object] | None = None, wait_seconds: float = 5.0
    ) -> Database:
        """Take the arguments of a Database."""
        ...


def id_of(number: int) -> str:
    """Return an id made of a number."""
    return f"{number:032x}"


def payload_of(number: int, **fields: Unpack[Payload]) -> Payload:
    """Return an error with an id made of a number, and all else as it may be, unless told otherwise."""
    frames: list[FramePayload] = [
        {"module": "shop.mail", "function": "send", "file": "/srv/shop/mail.py", "line": 7, "in_app": True}
    ]
    usual: Payload = {
        "id": id_of(number),
        "time": NOON + number,
        "fingerprint": MAIL,
        "title": "OSError: no route",
        "error_type": "OSError",
        "component": "mailer",
        "service": "shop",
        "detailed": True,
        "message": "no route",
        "context": {"to": 5, "tags": ["a", None]},
        "chain": [{"type": "OSError", "message": "no route", "relation": "", "frames": frames, "omitted": 0}],
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "span_id": "b7ad6b7169203331",
        "host": "web-1",
        "pid": 4711,
        "release": "1.2.3",
    }
    return {**usual, **fields}


def counted_only(number: int, **fields: Unpack[Payload]) -> Payload:
    """Return an error of a burst, of which no details are kept."""
    payload = payload_of(number, **fields)
    del payload["message"], payload["context"], payload["chain"]
    payload["detailed"] = False
    return payload


def batch_of(numbers: Iterable[int], **fields: Unpack[Payload]) -> list[tuple[int, Payload]]:
    """Return errors of a stream, each with its number there."""
    return [(number, payload_of(number, **fields)) for number in numbers]


def run_sql(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """Run statements on a database; return the rows of the last one."""
    address = make_url(url)
    if address.drivername == "postgresql":
        address = address.set(drivername="postgresql+psycopg")
    rows: list[tuple[Any, ...]] = []
    with create_engine(address, poolclass=NullPool).begin() as connection:
        for statement in statements:
            result = connection.exec_driver_sql(statement)
            rows = [tuple(row) for row in result] if result.returns_rows else []
    return rows


def all_said(error: BaseException) -> str:
    """Return all that an exception shows in whatever way, and those behind it."""
    shown = [*traceback.format_exception(error)]
    behind: BaseException | None = error
    while behind is not None:
        shown += [str(behind), repr(behind), repr(behind.args)]
        behind = behind.__cause__ or behind.__context__
    return "\n".join(shown)


@contextmanager
def failing(*, passing: bool, match: str) -> Generator[None]:
    """Require a StoreError that says this, and nothing of any password."""
    with pytest.raises(StoreError, match=match) as caught:
        yield
    assert caught.value.passing is passing
    assert "hunter2" not in all_said(caught.value)
