"""requests, niquests and urllib3: hooked at ``Session.send`` and ``urlopen``.

An answer that is read piece by piece is measured until its connection is given back, which
urllib3 does at the end of the body, or until it is closed or thrown away.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.parse import urlsplit

from otel_monitoring.instrument.sending import recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import ModuleType

    from otel_monitoring.instrument.calls import Call, Calls
    from otel_monitoring.instrument.sending import Around, Sent

_FOLLOWED = "_otel_monitoring_call"


class _Prepared(Protocol):
    @property
    def url(self) -> str | None: ...


class _Headers(Protocol):
    def items(self) -> Iterable[tuple[str, str]]: ...


class _Body(Protocol):
    @property
    def closed(self) -> bool: ...


class _SessionAnswer(Protocol):
    @property
    def status_code(self) -> int: ...
    @property
    def headers(self) -> _Headers: ...
    @property
    def raw(self) -> _Body | None: ...


class _PoolAnswer(_Body, Protocol):
    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> _Headers: ...


class _Followed(NamedTuple):
    """The call of an answer that is being read, and which exception was being handled when it came."""

    call: Call
    handled: int


def around_session_send(calls: Calls) -> Around:
    """Return what makes a ``send`` that records, out of one of a session of requests or niquests."""
    return recording(calls, _host_of_prepared, _follow_session)


def around_urlopen(calls: Calls) -> Around:
    """Return what makes an ``urlopen`` that records, out of one of a pool of urllib3."""
    return recording(calls, _host_of_pool, _follow_pool)


def methods_of_answers(module: ModuleType) -> Iterator[tuple[type, Mapping[str, Around]]]:
    """Go through the classes of a urllib3's answers, with what is to be made of their methods.

    Args:
        module: ``urllib3``, or its successor under whatever name, whose answers may be awaited too.
    """
    yield module.HTTPResponse, {"release_conn": _around_end, "close": _around_end}
    if hasattr(module, "AsyncHTTPResponse"):
        yield module.AsyncHTTPResponse, {"read": _around_read, "close": _around_close}


def _around_end(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a ``release_conn`` or ``close`` of urllib3's answers that ends the call of the answer."""

    @functools.wraps(function)
    def measured(answer: object, *arguments: object, **options: object) -> object:
        followed: _Followed | None = vars(answer).pop(_FOLLOWED, None)
        if followed is None:
            return function(answer, *arguments, **options)
        # A body that breaks off gives its connection back, too, while the exception is on its way.
        error = sys.exc_info()[1]
        if error is not None and id(error) != followed.handled and _is_of_urllib3(error):
            followed.call.fail(error)
        try:
            return function(answer, *arguments, **options)
        finally:
            followed.call.end()

    return measured


def _around_read(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a ``read`` that is awaited, and ends the call of the answer where nothing is left or it breaks off."""

    @functools.wraps(function)
    async def measured(answer: object, *arguments: object, **options: object) -> object:
        followed: _Followed | None = vars(answer).get(_FOLLOWED)
        if followed is None:
            return await function(answer, *arguments, **options)
        try:
            piece = await function(answer, *arguments, **options)
        except BaseException as error:
            followed.call.fail(error)
            raise
        if not piece:
            followed.call.end()
        return piece

    return measured


def _around_close(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a ``close`` that is awaited, and ends the call of the answer."""

    @functools.wraps(function)
    async def measured(answer: object, *arguments: object, **options: object) -> object:
        followed: _Followed | None = vars(answer).pop(_FOLLOWED, None)
        try:
            return await function(answer, *arguments, **options)
        finally:
            if followed is not None:
                followed.call.end()

    return measured


def _host_of_prepared(sent: Sent) -> str | None:
    request: _Prepared = sent.argument(0, "request")
    return urlsplit(request.url or "").hostname


def _host_of_pool(sent: Sent) -> str | None:
    # The pool of a proxy is given whole addresses, other pools paths.
    url: str = sent.argument(1, "url")
    return urlsplit(url).hostname or getattr(sent.client, "host", None)


def _follow_session(answer: _SessionAnswer, call: Call, sent: Sent) -> None:
    if getattr(answer, "lazy", False):
        call.abandon()  # niquests has sent it with others, and looks for its answer only when it is asked for
        return
    call.answer(answer.status_code, answer.headers.items())
    _follow_body(answer.raw if sent.options.get("stream", sent.client.stream) else None, call)


def _follow_pool(answer: _PoolAnswer, call: Call, sent: Sent) -> None:
    if not isinstance(getattr(answer, "status", None), int):
        call.abandon()  # the same of what niquests stands on
        return
    call.answer(answer.status, answer.headers.items())
    _follow_body(answer if sent.options.get("preload_content") is False else None, call)


def _follow_body(body: _Body | None, call: Call) -> None:
    if body is None or body.closed or not hasattr(body, "release_conn"):
        call.end()
    else:
        setattr(body, _FOLLOWED, _Followed(call, id(sys.exc_info()[1])))


def _is_of_urllib3(error: BaseException) -> bool:
    return any(kind.__name__ == "HTTPError" and kind.__module__.startswith("urllib3") for kind in type(error).__mro__)
