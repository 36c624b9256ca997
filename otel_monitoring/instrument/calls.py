"""Calls to platforms: how many, how long, how they end, and what their answers say of rate limits.

Each call gives one value of ``api_request_duration_seconds{platform}``, from its start to the
end of its answer, and one count of ``api_requests_total{platform, outcome}``:

- ``success``: a status below 400, whatever the caller does with the answer;
- ``rate_limited``: 429, and 403 where the headers say that a limit is exhausted;
- ``auth_error``: 401, 407 and other 403; ``client_error``: other 4xx, and requests that cannot be sent;
- ``server_error``: 5xx, no connection, an answer that breaks off;
- ``timeout``: no answer, or no end of it, in time;
- ``cancelled``: the caller gave up before there was an answer.

Where one client is built on another, the outermost counts.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from time import perf_counter
from typing import TYPE_CHECKING

from otel_monitoring.catalogue.shipped import API_REQUEST_DURATION, API_REQUESTS
from otel_monitoring.instrument.headers import FORBIDDEN, TOO_MANY_REQUESTS, read_limits

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from otel_monitoring.instrument.headers import Reading
    from otel_monitoring.instrument.platforms import Platforms
    from otel_monitoring.instrument.rate_limits import RateLimits
    from otel_monitoring.metrics import Registry

OUTCOMES = ("success", "client_error", "auth_error", "rate_limited", "server_error", "timeout")
"""What a call to any platform may come to; each is counted from 0 on."""

LIMIT_TYPES_AT_MOST = 50
"""Limits of one platform that are told apart; a platform that invents more is not listened to."""

_CLIENT_ERRORS = range(400, 500)
_SERVER_ERRORS = range(500, 1000)
_AUTH_ERRORS = frozenset({401, 403, 407})
_TIMEOUTS = frozenset({"Timeout", "TimeoutError", "TimeoutException"})
_MISTAKES = frozenset({"InvalidURL", "LocalProtocolError", "TooManyRedirects", "UnsupportedProtocol"})
_UNANSWERED = "unanswered"

_current: ContextVar[Call | None] = ContextVar("otel_monitoring_call", default=None)


class Call:
    """One call, from the moment at which it is sent.

    A call that nobody ends, since the caller has thrown its answer away, ends with its last reference.
    """

    __slots__ = ("_calls", "_ended", "_outcome", "_outer", "_sending", "_started", "platform")

    def __init__(self, calls: Calls, platform: str, outer: Call | None) -> None:
        self.platform = platform
        self._calls = calls
        self._outer = outer
        self._outcome = _UNANSWERED
        self._sending = True
        self._ended = False
        self._started = perf_counter()

    def holds(self, calls: Calls, platform: str) -> bool:
        """Tell whether this call, or one around it, is being sent to the platform and counted by these."""
        mine = self._sending and self._calls is calls and self.platform == platform
        return mine or (self._outer is not None and self._outer.holds(calls, platform))

    def __enter__(self) -> None:
        """Be sent."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Have been sent, or have failed to be."""
        self.leave()
        if error is not None:
            self.fail(error)

    def leave(self) -> None:
        """Let what is called from here on be calls of their own."""
        self._sending = False
        _current.set(self._outer)

    def answer(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        """Take the head of the answer."""
        self._outcome = _outcome_of(status)
        calls = self._calls
        with calls.incidents.contained("reading an answer's headers"):
            readings = calls.read(self.platform, status, headers)
            if status == FORBIDDEN and any(_is_spent(one) for one in readings):
                self._outcome = "rate_limited"

    def end(self) -> None:
        """Count the call: its answer has ended, or nobody wants the rest."""
        if not self._ended:
            self._ended = True
            outcome = "cancelled" if self._outcome is _UNANSWERED else self._outcome
            self._calls.count(self.platform, outcome, perf_counter() - self._started)

    def fail(self, error: BaseException) -> None:
        """Count a call that an exception has ended."""
        with self._calls.incidents.contained("finding how a call failed"):
            status, headers = _answer_in(error)
            if status and not _is_mistake(error):
                self.answer(status, headers)
            elif isinstance(error, Exception):
                self._outcome = _outcome_of_error(error)
        self.end()

    def abandon(self) -> None:
        """Count nothing: what came back is no answer."""
        self._ended = True

    def __del__(self) -> None:
        self.end()


class Calls:
    """Records the calls that clients make.

    Args:
        registry: where the metrics are recorded.
        rate_limits: told of what answers say.
        platforms: names the platform of a host.

    Attributes:
        incidents: the registry's.
        active: whether calls are recorded; what was hooked stays, once it is not, without effect.
    """

    def __init__(self, registry: Registry, rate_limits: RateLimits, platforms: Platforms) -> None:
        self.incidents = registry.incidents
        self.active = True
        self._rate_limits = rate_limits
        self._platforms = platforms
        self._requests = registry.counter(API_REQUESTS)
        self._duration = registry.histogram(API_REQUEST_DURATION)
        self._types: dict[str, set[str]] = {}

    def begin(self, host: str | None) -> Call | None:
        """Return the call that is about to be sent; None where it is not to be counted.

        Whoever gets a call sends it under ``with``, and then sees to it that it is ended.
        """
        if not self.active or not host:
            return None
        platform = self._platforms.of(host)
        outer = _current.get()
        # A call to another platform inside of a call is one of its own: an application that is
        # tested by a client in its own process calls others.
        if not platform or (outer is not None and outer.holds(self, platform)):
            return None
        if platform not in self._types:
            self._meet(platform)
        call = Call(self, platform, outer)
        _current.set(call)
        return call

    def read(self, platform: str, status: int, headers: Iterable[tuple[str, str]]) -> tuple[Reading, ...]:
        """Record what the headers of an answer say of rate limits, and return it."""
        readings = read_limits(headers, status=status, now=time.time())
        for reading in readings:
            if self._is_known(platform, reading.limit_type):
                self._rate_limits.record(
                    platform,
                    reading.limit_type,
                    reading.remaining,
                    reset_time=reading.reset,
                    limit=reading.limit,
                    hit=reading.hit,
                )
        return readings

    def count(self, platform: str, outcome: str, seconds: float) -> None:
        """Count one call."""
        self._duration.record(seconds, {"platform": platform})
        self._requests.add(1, {"platform": platform, "outcome": outcome})

    def _meet(self, platform: str) -> None:
        self._types[platform] = set()
        for outcome in OUTCOMES:
            self._requests.labels(platform=platform, outcome=outcome)

    def _is_known(self, platform: str, limit_type: str) -> bool:
        known = self._types[platform]
        if limit_type not in known and len(known) < LIMIT_TYPES_AT_MOST:
            known.add(limit_type)
        return limit_type in known


def _outcome_of(status: int) -> str:
    if status == TOO_MANY_REQUESTS:
        return "rate_limited"
    if status in _AUTH_ERRORS:
        return "auth_error"
    if status in _CLIENT_ERRORS:
        return "client_error"
    return "server_error" if status in _SERVER_ERRORS else "success"


def _is_spent(reading: Reading) -> bool:
    return reading.hit or (reading.remaining is not None and reading.remaining <= 0)


def _outcome_of_error(error: Exception) -> str:
    if _is_mistake(error):
        return "client_error"
    names = _names_of(error)
    # To urllib3's successor every connection that cannot be made is one that could not be made in time.
    return "timeout" if names & _TIMEOUTS and "NewConnectionError" not in names else "server_error"


def _is_mistake(error: BaseException) -> bool:
    return isinstance(error, ValueError | TypeError) or bool(_names_of(error) & _MISTAKES)


def _names_of(error: BaseException) -> set[str]:
    # The six libraries have no class in common, and none needs to be imported here.
    return {kind.__name__ for one in (error, getattr(error, "reason", None)) for kind in type(one).__mro__}


def _answer_in(error: BaseException) -> tuple[int, Iterable[tuple[str, str]]]:
    """Return the head of the answer that an exception such as ``HTTPStatusError`` is raised for; 0 without one."""
    answer = getattr(error, "response", None)
    for one in (answer, error):
        for name in ("status_code", "status"):
            status = getattr(one, name, None)
            if isinstance(status, int):
                headers = getattr(one, "headers", None)
                return status, headers.items() if headers is not None else ()
    return 0, ()
