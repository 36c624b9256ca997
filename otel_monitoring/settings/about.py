"""What is known of each setting beside its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from otel_monitoring.settings.kinds import Kind


@dataclass(frozen=True, slots=True)
class About:
    """What is known of one setting beside its name and its default.

    Attributes:
        kind: what it takes.
        meaning: one sentence for the documentation.
        unit: of a number.
        variables: OpenTelemetry's own environment variables that give it too.
        secret: whether its value must not be shown.
    """

    kind: Kind
    meaning: str
    unit: str = ""
    variables: tuple[str, ...] = ()
    secret: bool = False


class Row(NamedTuple):
    """One line of the documentation of the settings."""

    name: str
    variables: tuple[str, ...]
    type: str
    default: str
    unit: str
    meaning: str
