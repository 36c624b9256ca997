"""What is found on a Grafana: folders, datasources, dashboards, rules and their state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from otel_monitoring.grafana.failures import VersionConflictError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder of dashboards and rules."""

    uid: str
    title: str
    parent_uid: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Datasource:
    """What queries are sent to."""

    uid: str
    name: str
    type: str
    is_default: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDashboard:
    """A dashboard as it was read; to be handed back when it is saved, so that no change in between is lost.

    Attributes:
        uid: of the dashboard.
        spec: the dashboard, without ``id``, ``uid`` and ``version``.
        folder_uid: where it is; empty at the root.
        version: counts its changes, for people.
        resource_version: what the resource API compares; empty where the server has only the classic API.
        provisioned: the file it comes from, or what else manages it; empty where it may be saved.
        stored_schema: the API version it is stored in, where that is a newer one than was read.
        metadata: what else the resource API holds of it, to be sent back.
    """

    uid: str
    spec: dict[str, object]
    folder_uid: str = ""
    version: int = 0
    resource_version: str = ""
    provisioned: str = ""
    stored_schema: str = ""
    metadata: Mapping[str, object] = field(default_factory=dict[str, object], repr=False, compare=False)

    @property
    def title(self) -> str:
        """Its title."""
        return str(self.spec.get("title", ""))

    def refuse_since(self, version: object) -> None:
        """Refuse to go on from another version than this one; None is any.

        Raises:
            VersionConflictError: the dashboard has changed since.
        """
        if version is not None and version != self.version:
            raise VersionConflictError(
                f"dashboard {self.uid!r} is version {self.version} now, and what is to be saved was made of version "
                f"{version}. Read it again and repeat the change, or leave out 'version' to save over what is there"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleGroup:
    """A group of alert rules, which are evaluated together.

    Attributes:
        folder_uid: where it is.
        name: of the group.
        interval_seconds: between two evaluations; a multiple of 10.
        rules: as Grafana's provisioning API has them.
    """

    folder_uid: str
    name: str
    interval_seconds: int
    rules: tuple[Mapping[str, object], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRule:
    """The state of an alert rule, as Grafana's scheduler has it.

    Attributes:
        uid: of the rule.
        title: of the rule.
        group: that it is in.
        state: ``inactive``, ``pending`` or ``firing``.
        health: ``ok``, ``nodata`` or ``error``; or ``unknown``.
        last_error: Grafana's reason; empty where there is none.
        last_evaluation: when it was evaluated, as RFC 3339; empty before the first time.
        provenance: ``api`` or ``file`` where it is read-only in the UI; else empty.
        is_paused: it is never evaluated.
    """

    uid: str
    title: str
    group: str
    state: str
    health: str
    last_error: str
    last_evaluation: str
    provenance: str
    is_paused: bool
