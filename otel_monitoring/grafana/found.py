"""What is in a Grafana, as far as it concerns what shall be there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from otel_monitoring.grafana.desired import place_of
from otel_monitoring.grafana.ownership import is_as_written_rule, is_our_rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_monitoring.grafana.desired import Folder
    from otel_monitoring.grafana.normal_form import Json


@dataclass(frozen=True, slots=True)
class FoundDashboard:
    """A dashboard that is there.

    Attributes:
        uid: its name in addresses.
        folder_uid: where it is; empty for the root folder.
        model: its JSON.
        version: what a write has to carry, so that it replaces just this one.
        managed_by: what manages it beside us, such as ``classic-file-provisioning``; empty for nothing.
        newer_schema: it is kept in a form that a write of ours would take from it.
    """

    uid: str
    folder_uid: str
    model: Mapping[str, object]
    version: object = None
    managed_by: str = ""
    newer_schema: bool = False

    @property
    def title(self) -> str:
        """What it is called."""
        return str(self.model.get("title", self.uid))


@dataclass(frozen=True, slots=True)
class FoundGroup:
    """A group of rules that is there.

    Attributes:
        title: its name in the folder.
        folder_uid: where it is.
        interval_seconds: from one evaluation to the next.
        rules: in their order.
        from_file: it comes from Grafana's own provisioning files.
    """

    title: str
    folder_uid: str
    interval_seconds: int
    rules: tuple[Mapping[str, object], ...]
    from_file: bool = False

    @property
    def place(self) -> Json:
        """What says where the rules stand and how often they are evaluated."""
        return place_of(self.folder_uid, self.title, self.interval_seconds)

    @property
    def ours(self) -> tuple[Mapping[str, object], ...]:
        """The rules that we wrote."""
        return tuple(rule for rule in self.rules if is_our_rule(rule))

    @property
    def others(self) -> tuple[Mapping[str, object], ...]:
        """The rules that somebody else has added."""
        return tuple(rule for rule in self.rules if not is_our_rule(rule))

    def is_as_written(self, rule: Mapping[str, object]) -> bool:
        """Tell whether a rule in it is as we left it."""
        return is_as_written_rule(rule, place=self.place)


@dataclass(frozen=True, slots=True)
class Found:
    """What is there.

    Attributes:
        folder: the folder, where there is one with its uid.
        dashboards: those with a uid that is wanted, and those in the folder that are ours.
        groups: all of the folder, and those elsewhere that hold a rule that is wanted.
    """

    folder: Folder | None = None
    dashboards: Mapping[str, FoundDashboard] = field(default_factory=dict[str, FoundDashboard])
    groups: tuple[FoundGroup, ...] = ()

    def group(self, folder_uid: str, title: str) -> FoundGroup | None:
        """Return a group by its place."""
        return next((group for group in self.groups if (group.folder_uid, group.title) == (folder_uid, title)), None)
