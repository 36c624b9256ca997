"""Methods replaced by ones that do more, and put back."""

from __future__ import annotations

import weakref
from types import MethodType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_monitoring.instrument.sending import Around


def replace_method(owner: object, name: str, around: Around) -> Callable[[], None]:
    """Replace a method of a class, or of one object.

    Args:
        owner: the class, whose objects and subclasses all have the new method from then on,
            or the one object.
        name: of the method.
        around: makes the new function out of the old one; both take the object first.

    Returns:
        A function that puts the old one back, unless somebody has replaced ours since.
    """
    return (
        _replace_in_class(owner, name, around) if isinstance(owner, type) else _replace_in_object(owner, name, around)
    )


def _replace_in_class(owner: type, name: str, around: Around) -> Callable[[], None]:
    inherited = name not in vars(owner)
    before = getattr(owner, name)
    new = around(before)
    setattr(owner, name, new)

    def put_back() -> None:
        if vars(owner).get(name) is not new:
            return
        if inherited:
            delattr(owner, name)
        else:
            setattr(owner, name, before)

    return put_back


def _replace_in_object(owner: object, name: str, around: Around) -> Callable[[], None]:
    new = around(_function_of(owner, name))
    setattr(owner, name, MethodType(new, owner))
    # Whoever keeps the function that puts back keeps no client alive.
    reference = weakref.ref(owner)

    def put_back() -> None:
        alive = reference()
        if alive is not None and getattr(vars(alive).get(name), "__func__", None) is new:
            delattr(alive, name)

    return put_back


def _function_of(owner: object, name: str) -> Callable[..., Any]:
    """Return an object's method as a function that takes the object first."""
    method = getattr(owner, name)
    if isinstance(method, MethodType):
        function: Callable[..., Any] = method.__func__
        return function
    return lambda _owner, *args, **kwargs: method(*args, **kwargs)
