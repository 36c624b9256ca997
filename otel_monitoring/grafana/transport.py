"""Sends what is asked to Grafana: with patience, and with failures that say what to do."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from otel_monitoring.grafana.failures import (
    CertificateError,
    GrafanaError,
    OfflineError,
    RateLimitedError,
    ReplyTimeoutError,
    ServerFaultError,
    UnreachableError,
)
from otel_monitoring.grafana.library import Api, Response, open_api
from otel_monitoring.grafana.replies import Reply, failure_of, not_grafana

if TYPE_CHECKING:
    from types import TracebackType

    from otel_monitoring.grafana.connection import Connection

T = TypeVar("T")
Action = Callable[[Api], Awaitable[object]]

_ERRORS_FROM = 400
_PASSING = frozenset({502, 503, 504})
_heard: ContextVar[Reply] = ContextVar("otel_monitoring_grafana_reply")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often and after which pauses a request is sent again.

    Attributes:
        attempts: how often in all.
        first_pause_seconds: each further one is twice as long, and up to half of it is left to chance.
        longest_pause_seconds: a server that asks for more is left alone.
    """

    attempts: int = 4
    first_pause_seconds: float = 0.25
    longest_pause_seconds: float = 15.0

    def pause_seconds(self, failure: GrafanaError, attempt: int, *, repeatable: bool) -> float | None:
        """Return how long to wait before the next attempt, or None to give up.

        Args:
            failure: of this attempt.
            attempt: which it was, from 1.
            repeatable: whether it does no harm if both this one and the next take effect.
        """
        if attempt >= self.attempts:
            return None
        pause = self.first_pause_seconds * 2 ** (attempt - 1) * random.uniform(0.5, 1.0)  # noqa: S311 (spreads load)
        if isinstance(failure, RateLimitedError):
            wanted = max(pause, failure.retry_after_seconds or 0.0)
            return wanted if wanted <= self.longest_pause_seconds else None
        return pause if repeatable and _is_passing(failure) else None


class Transport:
    """One Grafana, for one event loop, while it is entered.

    Args:
        connection: which Grafana.
        patience: with requests that fail.
    """

    def __init__(self, connection: Connection, patience: Patience) -> None:
        self.connection = connection
        self._patience = patience
        self._api: Api | None = None
        self._all_opened: list[Api] = []

    async def __aenter__(self) -> Self:
        if self.connection.offline:
            raise OfflineError("offline is set, so that nothing is sent to Grafana: give offline=False, and it is")
        _refuse_missing_file(self.connection)
        self._api = self._opened()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._api = None
        while self._all_opened:
            await self._all_opened.pop().client.s.close()

    async def call(self, action: Action, what: str, *, repeatable: bool) -> object:
        """Return what an action of grafana-client returns.

        Args:
            action: takes the API.
            what: it does, as ``saving dashboard 'a'``.
            repeatable: whether it may be sent again when nobody knows if it took effect.

        Raises:
            GrafanaError: one of the failures of this room.
        """
        attempt = 1
        while True:
            reply, failure = await self._attempt(action, what)
            if failure is None:
                return reply.body
            pause = self._patience.pause_seconds(failure, attempt, repeatable=repeatable)
            if pause is None:
                raise failure if repeatable else _in_doubt(failure)
            await asyncio.sleep(pause)
            attempt += 1

    async def resource(
        self, method: str, path: str, what: str, *, body: object = None, params: object = None, repeatable: bool
    ) -> object:
        """Send a request below ``/apis``, which grafana-client has no methods for; see ``call``."""

        async def send(api: Api) -> object:
            client = api.client
            response = await client.s.request(
                method,
                client.url.removesuffix("/api") + path,
                json=body,
                params=params,
                auth=client.auth,
                verify=self.connection.verify,
                timeout=self.connection.timeout_seconds,
            )
            return _decoded(response)

        return await self.call(send, what, repeatable=repeatable)

    async def _attempt(self, action: Action, what: str) -> tuple[Reply, GrafanaError | None]:
        """Try once; the failure is returned, so that it is raised outside of the handling of its cause."""
        if self._api is None:
            raise RuntimeError("a client of Grafana is used inside of `async with`")
        from grafana_client.client import GrafanaException
        from niquests.exceptions import RequestException

        reply = Reply()
        _heard.set(reply)
        try:
            async with asyncio.timeout(self.connection.timeout_seconds):
                reply.body = await action(self._api)
        except TimeoutError:
            self._leave_connections()
            return reply, self._timed_out(what)
        except asyncio.CancelledError:
            self._leave_connections()
            raise
        except GrafanaException as error:
            reply.body = error.response
            reply.status = reply.status or error.status_code
            broken: Exception = error
        except (RequestException, OSError) as error:
            broken = error
        else:
            return reply, self._misfit(reply, what)
        return reply, self._failure(reply, broken, what)

    def _leave_connections(self) -> None:
        """Go on with new ones: a reply may still come on the old, for which the next request would take it."""
        self._api = self._opened()

    def _opened(self) -> Api:
        api = open_api(self.connection)
        session = api.client.s
        session.hooks["response"] = [_hear]
        # Following one would turn a POST into a GET, which then "succeeds".
        session.max_redirects = 0
        if self.connection.organization_id is not None:
            # grafana-client has an argument for it, which the asynchronous API of its older versions forgets.
            session.headers["X-Grafana-Org-Id"] = str(self.connection.organization_id)
        self._all_opened.append(api)
        return api

    def _misfit(self, reply: Reply, what: str) -> GrafanaError | None:
        if reply.status >= _ERRORS_FROM:
            return failure_of(reply, what, self.connection)
        if isinstance(reply.body, str) and reply.body:
            return not_grafana(reply, what, self.connection)
        return None

    def _failure(self, reply: Reply, error: Exception, what: str) -> GrafanaError:
        if reply.status >= 300:  # noqa: PLR2004 (from here on HTTP did not do it)
            return failure_of(reply, what, self.connection)
        if reply.status:
            return not_grafana(reply, what, self.connection)
        if _is_timeout(error):
            return self._timed_out(what)
        reason = self.connection.hide(_innermost(error))
        if _is_of(error, ssl.SSLCertVerificationError):
            return CertificateError(
                f"{what}: the certificate of {self.connection.shown} is not trusted: {reason}. "
                f"Set grafana_ca_file to the file of its authority; grafana_verify_tls=False trusts anybody"
            )
        if _is_of(error, ssl.SSLError):
            return UnreachableError(
                f"{what}: {self.connection.shown} speaks no TLS that we understand: {reason}. "
                f"Where it speaks plain HTTP, grafana_url begins with http://"
            )
        return UnreachableError(
            f"{what}: {self.connection.shown} cannot be reached: {reason}. Check grafana_url and that Grafana runs"
        )

    def _timed_out(self, what: str) -> ReplyTimeoutError:
        return ReplyTimeoutError(
            f"{what}: {self.connection.shown} did not answer within {self.connection.timeout_seconds:g} s. "
            f"Try again, or set grafana_timeout_seconds higher"
        )


def _refuse_missing_file(connection: Connection) -> None:
    if isinstance(connection.verify, str) and not Path(connection.verify).is_file():
        raise CertificateError(
            f"there is no file {connection.verify!r}: grafana_ca_file names the certificates to trust, in PEM form"
        )


def _hear(response: Response, **_: object) -> None:
    reply = _heard.get()
    reply.status = response.status_code or 0
    reply.headers = {name.lower(): str(text) for name, text in response.headers.items()}


def _decoded(response: Response) -> object:
    try:
        return response.json()
    except ValueError:
        return response.text


def _in_doubt(failure: GrafanaError) -> GrafanaError:
    """Return the failure of what may have been done, saying so."""
    if isinstance(failure, UnreachableError | ServerFaultError) and not isinstance(failure, CertificateError):
        failure.args = (f"{failure}. Whether it took effect is not known: look before you do it again",)
    return failure


def _is_passing(failure: GrafanaError) -> bool:
    if isinstance(failure, ServerFaultError):
        return failure.status in _PASSING
    return isinstance(failure, UnreachableError) and not isinstance(failure, CertificateError)


def _is_timeout(error: BaseException) -> bool:
    return any("timeout" in type(cause).__name__.lower() for cause in _causes(error))


def _is_of(error: BaseException, kind: type[BaseException]) -> bool:
    return any(isinstance(cause, kind) for cause in _causes(error))


def _innermost(error: BaseException) -> str:
    return str(_causes(error)[-1]) or type(_causes(error)[-1]).__name__


def _causes(error: BaseException) -> list[BaseException]:
    found = [error]
    while (cause := found[-1].__cause__ or found[-1].__context__) is not None and cause not in found:
        found.append(cause)
    return found
