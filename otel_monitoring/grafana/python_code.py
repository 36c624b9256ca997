"""What Python in documents does with metrics: read from its text, never run."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from otel_monitoring.catalogue import Declaration, Kind
from otel_monitoring.exceptions import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Iterator

_DECLARING = {
    "counter": Kind.COUNTER,
    "up_down_counter": Kind.UP_DOWN_COUNTER,
    "gauge": Kind.GAUGE,
    "histogram": Kind.HISTOGRAM,
}


def declared_in(code: str) -> Iterator[Declaration]:
    """Go through the metrics that code declares, ``monitoring.counter("jobs", …)``; what does not fit is left out."""
    for call in calls(code):
        kind = _DECLARING.get(name_of(call))
        name = argument(call, 0, "name")
        if kind is None or not isinstance(name, str):
            continue
        given = {word.arg: _literal(word.value) for word in call.keywords if word.arg in {"unit", "labels", "buckets"}}
        buckets = given.get("buckets") or ((1.0,) if kind is Kind.HISTOGRAM else ())
        try:
            yield Declaration(
                name=name,
                kind=kind,
                unit=str(given.get("unit") or ""),
                labels=_texts(given.get("labels")),
                buckets=buckets if isinstance(buckets, tuple) else (1.0,),
            )
        except DeclarationError:
            continue


def calls(code: str) -> list[ast.Call]:
    """Return the calls in code; none where it is no Python."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, MemoryError, RecursionError):  # what ast.parse raises of hostile text
        return []
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def name_of(call: ast.Call) -> str:
    """Return what is called, without what stands before a dot; empty where it has no name."""
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case _:
            return ""


def argument(call: ast.Call, place: int, *names: str) -> object:
    """Return an argument by its name or its place; None where it is missing, or is no literal."""
    named = [word.value for word in call.keywords if word.arg in names]
    given = named or call.args[place : place + 1]
    return _literal(given[0]) if given else None


def _literal(node: ast.expr) -> object:
    try:
        value: object = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    return value


def label_names(call: ast.Call) -> tuple[str, ...]:
    """Return the labels that a recording call gives values to."""
    labels = argument(call, 2 if name_of(call) == "record_metric" else 1, "labels")
    return _texts(tuple(labels)) if isinstance(labels, dict) else ()


def _texts(values: object) -> tuple[str, ...]:
    return tuple(value for value in values if isinstance(value, str)) if isinstance(values, tuple | list) else ()
