"""A client's method that sends a request, made into one that records the call."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from otel_monitoring.instrument.calls import Call, Calls


class Sent(NamedTuple):
    """What a client was told to send.

    Attributes:
        client: whose method was called.
        arguments: what stood in the call by position.
        options: what stood in it by keyword.
    """

    client: Any
    arguments: tuple[Any, ...]
    options: Mapping[str, Any]

    def argument(self, position: int, name: str) -> Any:  # noqa: ANN401 (each library's own)
        """Return an argument, by position or by keyword."""
        return self.arguments[position] if len(self.arguments) > position else self.options[name]


HostOf = Callable[[Sent], str | None]
"""Finds the host of a call."""

Follow = Callable[[Any, "Call", Sent], None]
"""Takes the answer to what was sent, and ends its call when the answer ends."""

Around = Callable[[Callable[..., Any]], Callable[..., Any]]
"""Makes a method that does more out of one."""


def recording(calls: Calls, host_of: HostOf, follow: Follow) -> Around:
    """Return what makes a method that records out of one that sends, awaited or not.

    Args:
        calls: records.
        host_of: finds the host.
        follow: follows the answer, once the method has returned it.
    """

    def around(send: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(send)
        def measured(client: object, *arguments: object, **options: object) -> object:
            sent = Sent(client, arguments, options)
            call = _begin(calls, host_of, sent)
            if call is None:
                return send(client, *arguments, **options)
            with call:
                answer = send(client, *arguments, **options)
            with calls.incidents.contained("following an answer"):
                follow(answer, call, sent)
            return answer

        @functools.wraps(send)
        async def measured_async(client: object, *arguments: object, **options: object) -> object:
            sent = Sent(client, arguments, options)
            call = _begin(calls, host_of, sent)
            if call is None:
                return await send(client, *arguments, **options)
            with call:
                answer = await send(client, *arguments, **options)
            with calls.incidents.contained("following an answer"):
                follow(answer, call, sent)
            return answer

        return measured_async if inspect.iscoroutinefunction(send) else measured

    return around


def _begin(calls: Calls, host_of: HostOf, sent: Sent) -> Call | None:
    with calls.incidents.contained("beginning to count a call"):
        return calls.begin(host_of(sent))
    return None
