"""From what Grafana answers to one of our failures, with Grafana's reason and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from otel_monitoring.grafana.failures import (
    FolderMissingError,
    ForbiddenError,
    GrafanaError,
    NotAGrafanaError,
    NotFoundError,
    ProvisionedError,
    RateLimitedError,
    RefusedError,
    ServerFaultError,
    UnauthorizedError,
    VersionConflictError,
)

if TYPE_CHECKING:
    from otel_monitoring.grafana.connection import Connection

LONGEST_REASON = 500
_PERMISSIONS = re.compile(r"Permissions needed: (.+)", re.DOTALL)
_FOLDER_MISSING = re.compile(r"folder not found|folder does not exist|folders\.folder\.grafana\.app .* not found")
_PROVISIONED = re.compile(r"provisioned dashboard|provenanceMismatch|provided provenance|managed by", re.IGNORECASE)
_GONE = frozenset({404, 410})
_CONFLICT = frozenset({409, 412})
_WAY_TO_SIGN_IN = "set grafana_api_key to the token of a service account, or grafana_username and grafana_password"


@dataclass(slots=True)
class Reply:
    """A reply of an HTTP server; its repr shows nothing of it, since a proxy may send back what it was sent.

    Attributes:
        status: the HTTP status; 0 before there is one.
        headers: by name in lower case.
        body: the body, decoded where it is JSON, else its text.
    """

    status: int = 0
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    body: object = field(default=None, repr=False)

    def header(self, name: str) -> str:
        """Return a header, or nothing."""
        return (self.headers or {}).get(name, "")

    @property
    def is_json(self) -> bool:
        """Whether the body says that it is JSON."""
        return "json" in self.header("content-type")


def failure_of(reply: Reply, what: str, connection: Connection) -> GrafanaError:
    """Return the failure that a reply means.

    Args:
        reply: with a status of 300 or more.
        what: was asked, as ``saving dashboard 'a'``; the message begins with it.
        connection: whom was asked.
    """
    reason = connection.hide(_reason(reply.body))[:LONGEST_REASON]
    if 300 <= reply.status < 400:  # noqa: PLR2004 (HTTP's redirects)
        return _redirected(reply, what, connection)
    if not reply.is_json and reply.status < 500 and reply.status != 429 and _is_page(reply.body):  # noqa: PLR2004 (HTTP's statuses)
        return not_grafana(reply, what, connection)
    return _by_status(reply, what, reason, connection)


def not_grafana(reply: Reply, what: str, connection: Connection) -> NotAGrafanaError:
    """Return the failure of a reply that is not what Grafana's API gives."""
    kind = reply.header("content-type").partition(";")[0] or "nothing that says what it is"
    return NotAGrafanaError(
        f"{what}: {connection.shown} answered {reply.status} with {kind}, where Grafana's API answers JSON. "
        f"grafana_url must be Grafana's own address, with the path it lives under and without a sign-in page before it"
    )


def retry_after_seconds(reply: Reply) -> float | None:
    """Return what the header ``Retry-After`` asks for, where it is a number of seconds (RFC 9110, 10.2.3)."""
    text = reply.header("retry-after").strip()
    return float(text) if text.isascii() and text.isdigit() else None


def _redirected(reply: Reply, what: str, connection: Connection) -> GrafanaError:
    target = connection.hide(reply.header("location")) or "nowhere"
    if "/login" in target:
        return UnauthorizedError(f"{what}: {connection.shown} sends us to its sign-in page. {_WAY_TO_SIGN_IN}")
    return NotAGrafanaError(
        f"{what}: {connection.shown} redirects to {target[:LONGEST_REASON]}, which is not followed since that would "
        f"lose what is sent. Set grafana_url to the address that answers by itself"
    )


def _by_status(reply: Reply, what: str, reason: str, connection: Connection) -> GrafanaError:  # noqa: PLR0911 (a table)
    status = reply.status
    said = f"{what}: Grafana answered {status}{': ' + reason if reason else ''}"
    if status == 401:  # noqa: PLR2004 (HTTP's status, as those below)
        return UnauthorizedError(f"{said}. {_sign_in_advice(reason, connection)}")
    if _PROVISIONED.search(reason) or _PROVISIONED.search(_message_id(reply.body)):
        return ProvisionedError(
            f"{said}. It comes from a file of Grafana's provisioning: change that file, or use another uid"
        )
    if status == 403:  # noqa: PLR2004
        return _forbidden(said, reason)
    if status == 429:  # noqa: PLR2004
        return RateLimitedError(f"{said}. Ask less often, or later", retry_after_seconds(reply))
    if _FOLDER_MISSING.search(reason):
        return FolderMissingError(f"{said}. Make the folder first, or give the uid of one that exists")
    if status in _GONE:
        return NotFoundError(f"{said}. It does not exist there, or these credentials may not see it")
    if status in _CONFLICT:
        return VersionConflictError(f"{said}. Read it again and repeat the change on what it is now")
    if status >= 500:  # noqa: PLR2004
        return ServerFaultError(f"{said}. Grafana's log says more; try again later", status)
    return RefusedError(said if reason and reason != "bad request data" else f"{said}. {_UNEXPLAINED}")


_UNEXPLAINED = "Grafana gives no reason; something in what was sent is of a wrong type, as a duration that is none"


def _sign_in_advice(reason: str, connection: Connection) -> str:
    if connection.auth is None:
        return f"No credentials are set: {_WAY_TO_SIGN_IN}"
    if "expired" in reason.lower():
        return "The token has expired: make a new one and set grafana_api_key"
    if isinstance(connection.auth, tuple):
        return "Check grafana_username and grafana_password"
    return "Check grafana_api_key: it must be the token of a service account of this Grafana"


def _forbidden(said: str, reason: str) -> ForbiddenError:
    found = _PERMISSIONS.search(reason)
    if found is None:
        return ForbiddenError(f"{said}. The credentials do not allow it")
    return ForbiddenError(f"{said}. Give the service account or user that permission, or the role Editor", found[1])


def _is_page(body: object) -> bool:
    return isinstance(body, str) and body.lstrip()[:1] == "<"


def _reason(body: object) -> str:
    if not isinstance(body, Mapping):
        return "" if not isinstance(body, str) or _is_page(body) else body.strip()
    fields = cast("Mapping[str, object]", body)
    for name in ("message", "error", "title"):
        if isinstance(fields.get(name), str) and fields[name]:
            return str(fields[name])
    return ""


def _message_id(body: object) -> str:
    return str(cast("Mapping[str, object]", body).get("messageId", "")) if isinstance(body, Mapping) else ""
