"""Which coding a body is sent in."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_monitoring.export.render import TINY_BYTES, compress

BODY = b"jobs_total 1\n" * 100


@pytest.mark.parametrize(
    "accept_encoding",
    [
        "gzip",
        "GZip",
        "x-gzip",
        "deflate, gzip;q=1.0, *;q=0.5",
        "gzip;q=0.001",
        "gzip ; q=0.5",
        "*",
        "*;q=0.1",
        "br, gzip",
        "identity;q=0.5, gzip;q=0.5",
        "nonsense;;, gzip",
    ],
)
def test_who_takes_gzip_gets_it(accept_encoding: str) -> None:
    body, coding = compress(BODY, accept_encoding)
    assert coding == "gzip"
    assert len(body) < len(BODY) / 5
    assert gzip.decompress(body) == BODY


@pytest.mark.parametrize(
    "accept_encoding",
    [
        None,
        "",
        "identity",
        "br, deflate",
        "gzip;q=0",
        "gzip;q=0.000",
        "gzip;q=0, *",
        "*;q=0",
        "identity, gzip;q=0.5",
        "gzip;q=2",
        "gzip;q=abc",
        "gzipped",
    ],
)
def test_who_does_not_take_gzip_gets_the_plain_body(accept_encoding: str | None) -> None:
    assert compress(BODY, accept_encoding) == (BODY, None)


def test_a_tiny_body_stays_as_it_is() -> None:
    tiny = b"x" * (TINY_BYTES - 1)
    assert compress(tiny, "gzip") == (tiny, None)
    assert compress(tiny + b"x", "gzip")[1] == "gzip"


def test_the_same_body_gives_the_same_bytes() -> None:
    """No time of day is written into it."""
    assert compress(BODY, "gzip") == compress(BODY, "gzip")
    assert compress(BODY, "gzip")[0][4:8] == bytes(4)


@given(st.text())
def test_no_header_makes_it_fail(accept_encoding: str) -> None:
    body, coding = compress(BODY, accept_encoding)
    assert coding is None or gzip.decompress(body) == BODY
