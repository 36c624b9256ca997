"""What the two ways of saving a dashboard have in common."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from otel_monitoring.grafana.failures import NewerSchemaError, ProvisionedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_monitoring.grafana.found import FoundDashboard

OURS = "otel-monitoring"
BOOKKEEPING = ("id", "uid", "version", "iteration")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A dashboard to be saved.

    Attributes:
        uid: of the dashboard; empty lets Grafana choose one.
        spec: the dashboard, without its bookkeeping.
        folder_uid: where it goes; empty is the root.
        message: for its history.
        owner: whose it is; empty keeps what is there.
        notes: texts to save with it; they are added to those that are there.
    """

    uid: str
    spec: Mapping[str, object]
    folder_uid: str
    message: str = ""
    owner: str = ""
    notes: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def what(self) -> str:
        """What is done with it, for messages."""
        return f"saving dashboard {self.spec.get('title') or self.uid!r}"


class Shelf(Protocol):
    """One of Grafana's two APIs for dashboards."""

    async def read(self, uid: str) -> FoundDashboard:
        """Return one dashboard."""
        ...

    async def owned(self, owner: str) -> list[FoundDashboard]:
        """Return all dashboards of an owner."""
        ...

    async def create(self, draft: Draft) -> FoundDashboard:
        """Save one that is not there; one of its uid is a conflict."""
        ...

    async def replace(self, draft: Draft, found: FoundDashboard, *, overwrite: bool) -> FoundDashboard:
        """Save over what was found; what has changed since is a conflict, unless it shall be overwritten."""
        ...

    async def dry_run(self, draft: Draft, found: FoundDashboard | None) -> dict[str, object]:
        """Return the dashboard as the server would hold it."""
        ...


def bare(spec: Mapping[str, object]) -> dict[str, object]:
    """Return a dashboard without what says where and which it is: its content."""
    return {name: value for name, value in spec.items() if name not in BOOKKEEPING}


def refuse_foreign(found: FoundDashboard, what: str) -> None:
    """Refuse to save what only another can change.

    Raises:
        ProvisionedError: it comes from a file, or something else manages it.
        NewerSchemaError: it is stored in schema v2.
    """
    if found.provisioned:
        raise ProvisionedError(
            f"{what}: dashboard {found.uid!r} comes from {found.provisioned}, and what is saved here would be lost "
            f"when that is read again. Change it there, or use another uid"
        )
    if found.stored_schema:
        raise NewerSchemaError(
            f"{what}: dashboard {found.uid!r} is stored as {found.stored_schema}, and saving it from here would turn "
            f"it into schema v1. Change it in Grafana, or use another uid"
        )
