"""What is inside of the middleware around an application."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEEPEST = 50
"""How many layers are looked through: more is a circle."""

_WITHIN = ("app", "application", "wsgi_app", "__self__")
"""What middleware calls the next one; the last is where that is a method of an application."""


def layers(app: object) -> Iterator[object]:
    """Go through an application and what is inside of it, from the outside."""
    for _ in range(_DEEPEST):
        if app is None:
            return
        yield app
        app = next((inner for name in _WITHIN if (inner := getattr(app, name, None)) is not None), None)


def find(app: object, module: str, name: str) -> object | None:
    """Return what is of a class among the layers."""
    return next((layer for layer in layers(app) if is_a(layer, module, name)), None)


def is_a(app: object, module: str, name: str) -> bool:
    """Tell whether an object is of a class; none is where the class's module is not loaded."""
    return isinstance(app, getattr(sys.modules.get(module), name, ()))
