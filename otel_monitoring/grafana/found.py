"""What is found on a Grafana: folders, datasources, dashboards, rules and their state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

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
        owner: whose it is, as it was saved with; empty where nobody has said it.
        notes: texts that were saved with it.
        metadata: what else the resource API holds of it, to be sent back.
    """

    uid: str
    spec: dict[str, object]
    folder_uid: str = ""
    version: int = 0
    resource_version: str = ""
    provisioned: str = ""
    stored_schema: str = ""
    owner: str = ""
    notes: Mapping[str, str] = field(default_factory=dict[str, str])
    metadata: Mapping[str, object] = field(default_factory=dict[str, object], repr=False)

    @property
    def title(self) -> str:
        """Its title."""
        return str(self.spec.get("title", ""))


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
    """

    uid: str
    title: str
    group: str
    state: str
    health: str
    last_error: str
    last_evaluation: str
    provenance: str
