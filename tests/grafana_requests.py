"""What the parts of the stand-in for Grafana have in common: a request, an answer, and the state."""

from __future__ import annotations

import itertools
import json
import threading
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]

NO_TIME = "0001-01-01T00:00:00Z"
ADMIN_UID = "admin-uid"
ROLES = {"None": 0, "Viewer": 1, "Editor": 2, "Admin": 3}


@dataclass(frozen=True)
class Answer:
    """A reply; a body of None is an empty one, of text is HTML."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict[str, str])


class Refusal(Exception):  # noqa: N818 (it is an answer, not a mistake)
    """Grafana says no."""

    def __init__(self, code: int, message: str, **more: object) -> None:
        self.answer = Answer(code, {"message": message, **more})
        super().__init__(message)


@dataclass(frozen=True)
class Asked:
    """A request, and who asks."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    raw: bytes
    role: str
    user: str

    def one(self, name: str, default: str = "") -> str:
        """Return a parameter of the query."""
        return self.query.get(name, [default])[0]

    def body(self) -> Json:
        """Return the body, or refuse it as Grafana does: without a reason."""
        try:
            found = json.loads(self.raw)
        except ValueError:
            raise Refusal(400, "bad request data") from None
        if not isinstance(found, dict):
            raise Refusal(400, "bad request data")
        return found

    def needs(self, role: str, permissions: str) -> None:
        """Refuse who may not do it."""
        if ROLES[self.role] < ROLES[role]:
            raise Refusal(
                403,
                f"You'll need additional permissions to perform this action. Permissions needed: {permissions}",
                title="Access denied",
                accessErrorId=f"ACE{next(_numbers):010}",
            )


_numbers = itertools.count(1)


def new_uid() -> str:
    """Return a short uid as Grafana makes them."""
    return uuid.uuid4().hex[:14]


def now() -> str:
    """Return the time, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def now_ms() -> int:
    """Return the time in milliseconds since 1970."""
    return int(datetime.now(UTC).timestamp() * 1000)


def kubernetes(status: int, reason: str, message: str, **details: object) -> Answer:
    """Return a refusal of Grafana's resource API."""
    body: Json = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "code": status,
    }
    if reason:
        body |= {"reason": reason, "details": details}
    return Answer(status, body)


@dataclass
class Folder:
    """A folder."""

    uid: str
    title: str
    id: int
    parent: str = ""
    version: int = 1
    managed: str = ""
    by: str = "admin"
    changed_by: str = "Anonymous"
    made: str = field(default_factory=now)


@dataclass
class Saved:
    """A dashboard: what was saved, and each version of it."""

    uid: str
    spec: Json
    id: int
    folder: str = ""
    version: int = 1
    resource_version: int = 0
    stored: str = "v0alpha1"
    labels: dict[str, str] = field(default_factory=dict[str, str])
    annotations: dict[str, str] = field(default_factory=dict[str, str])
    history: list[Json] = field(default_factory=list[Json])
    file: str = ""
    made: str = field(default_factory=now)
    changed: str = ""
    object_uid: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass
class Rule:
    """An alert rule, and what the scheduler knows of it."""

    given: Json
    folder: str
    group: str
    provenance: str
    evaluated: str = NO_TIME
    changed: str = field(default_factory=now)
    result: Json = field(default_factory=dict[str, Any])


@dataclass
class State:
    """All that the stand-in holds.

    Attributes:
        evaluate: runs a PromQL query on a datasource and returns its samples; set by the evaluation part.
        pause_writes: called in the middle of each save, before it takes effect: what happens then, happens meanwhile.
    """

    folders: dict[str, Folder] = field(default_factory=dict[str, Folder])
    dashboards: dict[str, Saved] = field(default_factory=dict[str, Saved])
    datasources: dict[str, Json] = field(default_factory=dict[str, Json])
    annotations: list[Json] = field(default_factory=list[Json])
    rules: dict[str, Rule] = field(default_factory=dict[str, Rule])
    intervals: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    contact_points: list[Json] = field(default_factory=list[Json])
    service_accounts: list[Json] = field(default_factory=list[Json])
    tokens: dict[str, str] = field(default_factory=dict[str, str])
    expired: set[str] = field(default_factory=set[str])
    lock: threading.RLock = field(default_factory=threading.RLock)
    meanwhile: list[Callable[[], object]] = field(default_factory=list["Callable[[], object]"])
    ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    resource_versions: itertools.count[int] = field(default_factory=lambda: itertools.count(1795475393688002))
    rule_ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def happen_meanwhile(self) -> None:
        """Let what was planned to happen while a write is under way happen now, once."""
        while self.meanwhile:
            self.meanwhile.pop(0)()
