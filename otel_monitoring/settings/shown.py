"""How values are shown in messages and documents: cut, and without what is secret."""

from __future__ import annotations

import re
from dataclasses import MISSING
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import Field

    from otel_monitoring.settings.about import About

_CREDENTIALS = re.compile(r"\A([a-zA-Z][a-zA-Z0-9+.-]*://)?.*@", re.DOTALL)
_HIDDEN = "***"
_LONGEST_SHOWN = 80


def default_shown(setting: Field[Any]) -> str:
    """Return a setting's default for the documentation, empty where there is none."""
    if setting.default is MISSING or setting.default is None or setting.default == ():
        return ""
    return str(setting.default).lower() if isinstance(setting.default, bool) else str(setting.default)


def value_shown(value: object, about: About) -> str:
    """Return a value as a message shows it."""
    if about.secret:
        return f"the {type(value).__name__} given"
    if isinstance(value, str):
        return cut(_without_credentials(value))
    if isinstance(value, bool | float):
        return repr(value)
    if isinstance(value, int) and abs(value) < 10**_LONGEST_SHOWN:
        return repr(value)
    return f"the {type(value).__name__} given"


def value_repr(value: object, about: About) -> str:
    """Return a value as the settings' repr shows it."""
    if about.secret and value is not None:
        return repr(_HIDDEN)
    return repr(_without_credentials(value) if isinstance(value, str) else value)


def _without_credentials(text: str) -> str:
    """Hide what may be secret in an address: what stands before ``@``, and the query."""
    bare, query, _ = _CREDENTIALS.sub(rf"\1{_HIDDEN}@", text).partition("?")
    return f"{bare}?{_HIDDEN}" if query else bare


def cut(value: object) -> str:
    """Return a name as a message shows it, cut where it is long."""
    text = repr(value) if isinstance(value, str) else f"of type {type(value).__name__}"
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…'"
