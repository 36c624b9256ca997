"""What can go wrong with Grafana, each with what to do about it.

.. code-block:: text

    GrafanaError                    Grafana did not do what was asked
    ├── OfflineError                the settings say that nothing is sent
    ├── UnreachableError            no reply came
    │   ├── ReplyTimeoutError       none within ``grafana_timeout_seconds``
    │   └── CertificateError        the server's certificate is not trusted
    ├── NotAGrafanaError            something answered that is not Grafana's API: a page, a sign-in, a redirect
    ├── UnauthorizedError           401: no credentials, or wrong or expired ones
    ├── ForbiddenError              403: a permission is missing
    ├── NotFoundError               404
    │   └── FolderMissingError      the folder that something shall go into
    ├── VersionConflictError        409, 412: somebody else has changed it meanwhile, or made it first
    ├── ProvisionedError            it comes from a file, and only that file changes it
    ├── NewerSchemaError            a dashboard of schema v2, which would be stored as v1
    ├── RefusedError                400, 413, 422: Grafana finds something wrong, and says what
    │   └── QueryFailedError        a query of an alert rule does not run
    ├── RateLimitedError            429
    └── ServerFaultError            5xx

No message, attribute or cause holds credentials: what they are made of is cleaned before,
and none of them is raised while another exception is handled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_monitoring.exceptions import GrafanaError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "CertificateError",
    "FolderMissingError",
    "ForbiddenError",
    "GrafanaError",
    "NewerSchemaError",
    "NotAGrafanaError",
    "NotFoundError",
    "OfflineError",
    "ProvisionedError",
    "QueryFailedError",
    "RateLimitedError",
    "RefusedError",
    "ReplyTimeoutError",
    "ServerFaultError",
    "UnauthorizedError",
    "UnreachableError",
    "VersionConflictError",
]


class OfflineError(GrafanaError):
    """The setting ``offline`` is on, so that nothing is sent to Grafana."""


class UnreachableError(GrafanaError):
    """No reply came: refused, unknown host, or a connection that broke."""


class ReplyTimeoutError(UnreachableError):
    """No whole reply came within ``grafana_timeout_seconds``."""


class CertificateError(UnreachableError):
    """TLS failed: the server's certificate is not trusted, or is for another host."""


class NotAGrafanaError(GrafanaError):
    """A reply came that Grafana's API does not give: a page, a redirect, something that is no JSON."""


class UnauthorizedError(GrafanaError):
    """Grafana does not know who asks."""


class ForbiddenError(GrafanaError):
    """Who asks may not do that.

    Attributes:
        permissions: what Grafana says is needed, as ``dashboards:write``; empty where it does not say.
    """

    def __init__(self, message: str, permissions: str = "") -> None:
        self.permissions = permissions
        super().__init__(message)


class NotFoundError(GrafanaError):
    """There is no such thing, or the credentials do not let it be seen."""


class FolderMissingError(NotFoundError):
    """The folder that something shall go into does not exist."""


class VersionConflictError(GrafanaError):
    """Somebody else has changed the same thing since it was read, or has made it first."""


class ProvisionedError(GrafanaError):
    """The thing comes from a file of Grafana's provisioning, and only that file changes it."""


class NewerSchemaError(GrafanaError):
    """The dashboard is stored in schema v2; saving it from here would store it as v1."""


class RefusedError(GrafanaError):
    """Grafana finds something wrong with what was sent."""


class QueryFailedError(RefusedError):
    """Queries of an alert rule do not run, so that the rule would never work.

    Attributes:
        reasons: what Grafana says, by refId.
    """

    def __init__(self, message: str, reasons: Mapping[str, str]) -> None:
        self.reasons = dict(reasons)
        super().__init__(message)


class RateLimitedError(GrafanaError):
    """Grafana, or a proxy before it, wants fewer requests.

    Attributes:
        retry_after_seconds: when it wants the next one; None where it does not say.
    """

    def __init__(self, message: str, retry_after_seconds: float | None) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(message)


class ServerFaultError(GrafanaError):
    """Grafana, or a proxy before it, failed.

    Attributes:
        status: the HTTP status, 500 or more.
    """

    def __init__(self, message: str, status: int) -> None:
        self.status = status
        super().__init__(message)
