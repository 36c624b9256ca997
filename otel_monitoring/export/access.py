"""Who may read the metrics from the stand-alone server."""

from __future__ import annotations

import binascii
import hmac
from dataclasses import dataclass, field
from http import HTTPStatus
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from otel_monitoring.exceptions import ConfigurationError
from otel_monitoring.export.answer import Answer, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who is let in; where nothing is given, everyone is.

    Args:
        username: of HTTP basic authentication, together with ``password``.
        password: the same; never shown.
        bearer_token: lets in who sends it; where there is a password too, either will do.
        networks: addresses that are let in, such as ``"10.0.0.0/8"``; empty lets all in.
            A client from elsewhere is refused whatever it sends.

    Raises:
        ConfigurationError: only one of username and password is given, or a network is none.
    """

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    bearer_token: str | None = field(default=None, repr=False)
    networks: tuple[str, ...] = ()
    _networks: tuple[Network, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check what is given, and read the networks."""
        problems = [*self._credential_problems()]
        networks: list[Network] = []
        for text in () if isinstance(self.networks, str) else self.networks:
            try:
                networks.append(ip_network(text, strict=False))
            except ValueError:
                problems.append(f"{text!r} is no network: write one such as '10.0.0.0/8' or '::1'")
        if problems:
            raise ConfigurationError(tuple(problems))
        object.__setattr__(self, "_networks", tuple(networks))

    def refusal(self, client: str, authorization: str | None) -> Answer | None:
        """Return the answer to a client that is not let in, or None for one that is.

        Args:
            client: its IP address.
            authorization: the value of its ``Authorization`` header.
        """
        if not self._knows(client):
            return plain(HTTPStatus.FORBIDDEN, "this address is not let in")
        if not self._believes(authorization):
            challenges = tuple(("WWW-Authenticate", challenge) for challenge in self._challenges())
            return plain(HTTPStatus.UNAUTHORIZED, "say who you are", headers=challenges)
        return None

    def _knows(self, client: str) -> bool:
        if not self._networks:
            return True
        try:
            address = _plain_address(ip_address(client))
        except ValueError:
            return False
        return any(address in network for network in self._networks)

    def _believes(self, authorization: str | None) -> bool:
        if self.password is None and self.bearer_token is None:
            return True
        scheme, _, sent = (authorization or "").strip().partition(" ")
        match scheme.lower():
            case "basic":
                return self._believes_basic(sent.strip())
            case "bearer":
                return _same(sent.strip().encode("latin-1", "replace"), self.bearer_token)
            case _:
                return False

    def _believes_basic(self, sent: str) -> bool:
        try:
            username, _, password = binascii.a2b_base64(sent, strict_mode=True).partition(b":")
        except ValueError:
            return False
        # Both are compared in any case: the time must not tell which of them is wrong.
        return all([_same(username, self.username), _same(password, self.password)])

    def _challenges(self) -> Iterator[str]:
        if self.password is not None:
            yield 'Basic realm="metrics", charset="UTF-8"'
        if self.bearer_token is not None:
            yield 'Bearer realm="metrics"'

    def _credential_problems(self) -> Iterator[str]:
        if (self.username is None) != (self.password is None):
            yield "basic authentication needs a username and a password: give both, or neither"
        if self.username is not None and ":" in self.username:
            yield "the username holds a colon, which basic authentication cannot carry: choose another"
        if self.bearer_token is not None and not self.bearer_token.strip():
            yield "the bearer token is empty: give one, or leave it out"
        if isinstance(self.networks, str):
            yield f"networks is one string: write a tuple, networks=({self.networks!r},)"


def _same(sent: bytes, expected: str | None) -> bool:
    return hmac.compare_digest(sent, (expected or "").encode()) and expected is not None


def _plain_address(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that a server for both families sees as ``::ffff:…``."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
