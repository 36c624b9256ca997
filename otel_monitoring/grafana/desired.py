"""What shall be in a Grafana: a folder with dashboards and groups of rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from otel_monitoring.grafana.ownership import signed_rule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_monitoring.grafana.normal_form import Json


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder for all that is ours."""

    uid: str
    title: str


@dataclass(frozen=True, slots=True)
class DesiredDashboard:
    """A dashboard as it shall be.

    Attributes:
        uid: its name in addresses.
        model: its JSON, without our tags.
    """

    uid: str
    model: Mapping[str, object]

    @property
    def title(self) -> str:
        """What it is called."""
        return str(self.model.get("title", self.uid))


@dataclass(frozen=True, slots=True)
class DesiredGroup:
    """A group of rules as it shall be.

    Attributes:
        title: its name in the folder.
        interval_seconds: from one evaluation to the next.
        rules: as Grafana's provisioning API takes them, without our marks.
    """

    title: str
    interval_seconds: int
    rules: tuple[Mapping[str, object], ...]

    def place(self, folder_uid: str) -> Json:
        """Return what says where the rules stand and how often they are evaluated."""
        return place_of(folder_uid, self.title, self.interval_seconds)

    def body(self, folder_uid: str, *, kept: tuple[Mapping[str, object], ...] = ()) -> Json:
        """Return what is sent: our rules with their marks, and after them those that others have added."""
        signed = [signed_rule(rule, place=self.place(folder_uid)) for rule in self.rules]
        return {
            "title": self.title,
            "folderUid": folder_uid,
            "interval": self.interval_seconds,
            "rules": [*signed, *kept],
        }


@dataclass(frozen=True, slots=True)
class Desired:
    """All that shall be there.

    Attributes:
        folder: where it shall be.
        dashboards: by uid each once.
        groups: by title each once.
    """

    folder: Folder
    dashboards: tuple[DesiredDashboard, ...]
    groups: tuple[DesiredGroup, ...]


def place_of(folder_uid: str, group: str, interval_seconds: int) -> Json:
    """Return what says where a rule stands and how often it is evaluated."""
    return {"folder": folder_uid, "group": group, "interval": interval_seconds}


def desired_group(body: Mapping[str, object]) -> DesiredGroup:
    """Return a group as it shall be from the form in which Grafana's provisioning API takes it."""
    return DesiredGroup(
        str(body["title"]),
        cast("int", body["interval"]),
        tuple(cast("list[Mapping[str, object]]", body["rules"])),
    )
