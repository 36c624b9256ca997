"""What shall be in a Grafana: a folder with dashboards and groups of rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_monitoring.grafana.found import Folder, RuleGroup


@dataclass(frozen=True, slots=True)
class DesiredDashboard:
    """A dashboard as it shall be.

    Attributes:
        uid: its name in addresses.
        spec: its JSON, without the marks of ownership.
    """

    uid: str
    spec: Mapping[str, object]

    @property
    def title(self) -> str:
        """What it is called."""
        return str(self.spec.get("title", self.uid))


@dataclass(frozen=True, slots=True)
class Desired:
    """All that shall be there.

    Attributes:
        folder: where it shall be.
        dashboards: by uid each once.
        groups: by name each once, all in the folder, without the marks of ownership.
        job: the Prometheus job that they watch; empty where nobody said it.
    """

    folder: Folder
    dashboards: tuple[DesiredDashboard, ...]
    groups: tuple[RuleGroup, ...]
    job: str = ""
