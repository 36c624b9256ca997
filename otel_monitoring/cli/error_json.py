"""Groups and events as JSON, for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from otel_monitoring.cli.harmless import spelled_out
from otel_monitoring.errors.stored import ErrorEvent, ErrorGroup

if TYPE_CHECKING:
    from collections.abc import Sequence


def json_line(event: ErrorEvent) -> str:
    r"""Return an event as one line of JSON: times as ISO 8601 in UTC, whatever has no shape as ``\uXXXX``."""
    return spelled_out(json.dumps(event, ensure_ascii=False, default=_plain))


def json_text(value: Sequence[ErrorGroup] | Mapping[str, object]) -> str:
    """Return what there is as JSON in lines with indents; values are written as by ``json_line``."""
    text = json.dumps(value, ensure_ascii=False, default=_plain, indent=2)
    return "\n".join(map(spelled_out, text.split("\n")))


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(value, ErrorGroup | ErrorEvent):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
