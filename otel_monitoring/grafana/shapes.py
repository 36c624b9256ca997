"""Reads what Grafana answers: each look into a reply is checked, since anything may stand behind an address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast
from urllib.parse import quote

from otel_monitoring.grafana.failures import NotAGrafanaError

Json = dict[str, object]


def quoted(part: str) -> str:
    """Return a text as one step of a path."""
    return quote(part, safe="")


def mapping(value: object, what: str) -> Json:
    """Return an object of JSON.

    Raises:
        NotAGrafanaError: it is none.
    """
    if not isinstance(value, dict):
        raise NotAGrafanaError(f"{what}: the reply holds {_kind(value)} where Grafana gives an object")
    return cast("Json", value)


def listing(value: object, what: str) -> list[Json]:
    """Return a list of objects of JSON; raises as ``mapping``."""
    if not isinstance(value, list):
        raise NotAGrafanaError(f"{what}: the reply holds {_kind(value)} where Grafana gives a list")
    return [mapping(item, what) for item in cast("list[object]", value)]


def text(holder: Mapping[str, object], name: str) -> str:
    """Return a field's text, or nothing where there is none."""
    value = holder.get(name)
    return value if isinstance(value, str) else ""


def whole(holder: Mapping[str, object], name: str) -> int:
    """Return a field's whole number, or 0 where there is none."""
    value = holder.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def part(holder: Mapping[str, object], name: str) -> Json:
    """Return the object in a field, or an empty one."""
    value = holder.get(name)
    return cast("Json", value) if isinstance(value, dict) else {}


def texts(holder: Mapping[str, object], name: str) -> dict[str, str]:
    """Return the texts of the object in a field, by name."""
    return {key: value for key, value in part(holder, name).items() if isinstance(value, str)}


def _kind(value: object) -> str:
    return "nothing" if value is None or value == "" else f"a {type(value).__name__}"
