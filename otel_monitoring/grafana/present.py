"""What is in a Grafana, as far as it concerns what shall be there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_monitoring.grafana.found import Folder, FoundDashboard, RuleGroup


@dataclass(frozen=True, slots=True)
class Present:
    """What is there.

    Attributes:
        folder: the folder, where there is one with its uid.
        dashboards: those with a uid that is wanted, and those in the folder that we wrote.
        groups: all of the folder, and those elsewhere that hold a rule that is wanted.
        from_files: the uids of rules that come from Grafana's own provisioning files.
    """

    folder: Folder | None = None
    dashboards: Mapping[str, FoundDashboard] = field(default_factory=dict[str, "FoundDashboard"])
    groups: tuple[RuleGroup, ...] = ()
    from_files: frozenset[str] = frozenset()

    def group(self, folder_uid: str, name: str) -> RuleGroup | None:
        """Return a group by its place."""
        return next((group for group in self.groups if (group.folder_uid, group.name) == (folder_uid, name)), None)

    def is_from_file(self, group: RuleGroup) -> bool:
        """Tell whether a group comes from a file."""
        return any(rule.get("uid") in self.from_files for rule in group.rules)
