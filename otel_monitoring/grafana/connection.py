"""Where a Grafana is, and how to sign in there."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

HIDDEN = "***"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A Grafana's address and all that a request to it depends on; its repr shows no secret.

    Attributes:
        url: as people write it; may hold a path, and a user name and a password.
        token: of a service account, or an API key; it is used where a user name is given too.
        username: for basic authentication.
        password: that belongs to it.
        verify: whether TLS certificates are checked, or the file of the authorities to trust.
        timeout_seconds: of one request, from connecting to the last byte.
        organization_id: the organisation to work in; None takes that of the credentials.
        offline: nothing is sent.
    """

    url: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    verify: bool | str = True
    timeout_seconds: float = 10.0
    organization_id: int | None = None
    offline: bool = False

    @property
    def auth(self) -> str | tuple[str, str] | None:
        """What grafana-client takes: a token, a user name with its password, or nothing."""
        if self.token:
            return self.token
        parts = urlsplit(self.url)
        username = self.username or unquote(parts.username or "")
        password = self.password if self.username else unquote(parts.password or "")
        return (username, password or "") if username else None

    @property
    def protocol(self) -> str:
        """``http`` or ``https``."""
        return urlsplit(self.url).scheme

    @property
    def host(self) -> str:
        """The host, an IPv6 address in brackets."""
        host = urlsplit(self.url).hostname or ""
        return f"[{host}]" if ":" in host else host

    @property
    def port(self) -> int | None:
        """The port, where one is given."""
        return urlsplit(self.url).port

    @property
    def prefix(self) -> str:
        """The path that Grafana lives under, as ``grafana/``, or nothing."""
        path = urlsplit(self.url).path.strip("/")
        return f"{path}/" if path else ""

    @property
    def shown(self) -> str:
        """The address as it may stand in a message."""
        port = f":{self.port}" if self.port is not None else ""
        return f"{self.protocol}://{self.host}{port}/{self.prefix}".rstrip("/")

    def hide(self, text: str) -> str:
        """Return a text without any of the credentials in it, however they are written."""
        for secret in self._secrets():
            text = text.replace(secret, HIDDEN)
        return text

    def _secrets(self) -> tuple[str, ...]:
        auth = self.auth
        plain = {self.token, self.password, unquote(urlsplit(self.url).password or "")} - {None, ""}
        if isinstance(auth, tuple):
            plain.add(b64encode(":".join(auth).encode()).decode())
        secrets = {text for secret in plain if secret for text in (secret, quote(secret, safe=""))}
        return tuple(sorted(secrets, key=len, reverse=True))
