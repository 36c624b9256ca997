"""A client's method that sends a request, made into one that records the call."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otel_monitoring.instrument.calls import Call, Calls

HostOf = Callable[[Any, tuple[Any, ...], Mapping[str, Any]], str | None]
"""Finds the host of a call, by the client and by what stands in the call by position and by keyword."""

Follow = Callable[[Any, "Call", Mapping[str, Any]], None]
"""Takes an answer, its call and what stood in the call by keyword; ends the call when the answer ends."""

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
            call = _begin(calls, host_of, (client, arguments, options))
            if call is None:
                return send(client, *arguments, **options)
            with call:
                answer = send(client, *arguments, **options)
            with calls.incidents.contained("following an answer"):
                follow(answer, call, options)
            return answer

        @functools.wraps(send)
        async def measured_async(client: object, *arguments: object, **options: object) -> object:
            call = _begin(calls, host_of, (client, arguments, options))
            if call is None:
                return await send(client, *arguments, **options)
            with call:
                answer = await send(client, *arguments, **options)
            with calls.incidents.contained("following an answer"):
                follow(answer, call, options)
            return answer

        return measured_async if inspect.iscoroutinefunction(send) else measured

    return around


def _begin(
    calls: Calls, host_of: HostOf, given: tuple[object, tuple[object, ...], Mapping[str, object]]
) -> Call | None:
    with calls.incidents.contained("beginning to count a call"):
        return calls.begin(host_of(*given))
    return None
