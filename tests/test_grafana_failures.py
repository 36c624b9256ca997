"""What goes wrong between us and Grafana: each failure says what to do, and none holds a secret."""

from __future__ import annotations

import asyncio
import base64
import logging
import re
import ssl
import subprocess
import traceback
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from otel_monitoring.grafana.client import GrafanaClient
from otel_monitoring.grafana.connection import Connection
from otel_monitoring.grafana.failures import (
    CertificateError,
    FolderMissingError,
    ForbiddenError,
    GrafanaError,
    NotAGrafanaError,
    NotFoundError,
    OfflineError,
    ProvisionedError,
    RateLimitedError,
    RefusedError,
    ReplyTimeoutError,
    ServerFaultError,
    UnauthorizedError,
    UnreachableError,
    VersionConflictError,
)
from otel_monitoring.grafana.transport import Patience
from tests.grafana_requests import Answer
from tests.grafana_server import EXPIRED_TOKEN, LOGIN_PAGE, NO_ROLE_TOKEN, VIEWER_TOKEN, GrafanaServer
from tests.grafana_target import QUICK
from tests.servers import free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.asyncio, pytest.mark.programs]

TOKEN = "glsa_S3cr3tOfTheService_0a1b"
PASSWORD = "pass/word:with@signs"
ONCE = Patience(attempts=1)
SECRETS = (
    TOKEN,
    PASSWORD,
    "pass%2Fword%3Awith%40signs",
    base64.b64encode(f"robot:{PASSWORD}".encode()).decode(),
    base64.b64encode(TOKEN.encode()).decode(),
)
PERMISSIONS = "You'll need additional permissions to perform this action. Permissions needed: dashboards:write"


@pytest.fixture
def server() -> Iterator[GrafanaServer]:
    """A stand-in that knows our token."""
    with GrafanaServer() as running:
        running.state.tokens[TOKEN] = "Editor"
        yield running


@dataclass
class Told:
    """What a failure tells: itself, and all that was logged."""

    failure: GrafanaError
    logged: str

    def everything(self) -> str:
        """Return every text in which a secret could stand."""
        assert self.failure.__traceback__ is not None
        ours = self.failure.__traceback__.tb_next  # without the test's own frame, which knows the secrets
        told = traceback.TracebackException(type(self.failure), self.failure, ours, capture_locals=True)
        parts = [str(self.failure), repr(self.failure), repr(vars(self.failure)), repr(self.failure.args)]
        return "\n".join([*parts, *told.format(), self.logged])


async def fail(
    connection: Connection, caplog: pytest.LogCaptureFixture, *, patience: Patience = QUICK, act: Any = None
) -> Told:
    """Return what a failing call tells, after looking for secrets in it."""
    with caplog.at_level(logging.DEBUG):
        try:
            async with GrafanaClient(connection, patience=patience) as client:
                await (act(client) if act is not None else client.rules())
        except GrafanaError as failure:
            told = Told(failure, caplog.text)
        else:
            raise AssertionError("nothing failed")
    for secret in SECRETS:
        assert secret not in told.everything()
    assert told.failure.__cause__ is None
    assert told.failure.__context__ is None
    return told


def to(server: GrafanaServer, **more: Any) -> Connection:
    return replace(Connection(url=server.url, token=TOKEN, timeout_seconds=60.0), **more)


ECHO = {"message": f"upstream said no to Bearer {TOKEN} of robot:{PASSWORD}"}
REPLIES: dict[str, tuple[Answer, type[GrafanaError], str]] = {
    "400": (Answer(400, {"message": "uid too long, max 40 characters"}), RefusedError, "uid too long"),
    "400 without a reason": (Answer(400, {"message": "bad request data"}), RefusedError, "a wrong type, as a duration"),
    "401": (Answer(401, {"message": "Invalid API key"}), UnauthorizedError, "Check grafana_api_key"),
    "401 expired": (Answer(401, {"message": "Expired API key"}), UnauthorizedError, "make a new one"),
    "403": (Answer(403, {"message": PERMISSIONS}), ForbiddenError, "Give the service account .* that permission"),
    "403 without a reason": (Answer(403, {"message": "no"}), ForbiddenError, "The credentials do not allow it"),
    "404": (Answer(404, {"message": "Not found"}), NotFoundError, "may not see it"),
    "404 without a body": (Answer(404), NotFoundError, "answered 404. It does not exist"),
    "400 folder": (Answer(400, {"message": "folder not found"}), FolderMissingError, "Make the folder first"),
    "409": (Answer(409, {"message": "already exists"}), VersionConflictError, "Read it again"),
    "412": (Answer(412, {"message": "changed by someone else"}), VersionConflictError, "Read it again"),
    "400 provisioned": (
        Answer(400, {"message": "Cannot save provisioned dashboard"}),
        ProvisionedError,
        "change that file",
    ),
    "409 provenance": (
        Answer(409, {"message": "mismatch", "messageId": "alerting.provenanceMismatch"}),
        ProvisionedError,
        "change that file",
    ),
    "413": (Answer(413, {"message": "Dashboard is too large, max is 16 MB"}), RefusedError, "too large"),
    "413 of a proxy": (Answer(413, "<html><h1>413 Request Entity Too Large</h1></html>"), NotAGrafanaError, "413"),
    "429": (Answer(429, {"message": "slow down"}, {"retry-after": "3600"}), RateLimitedError, "Ask less often"),
    "500": (Answer(500, {"message": "Internal Server Error"}), ServerFaultError, "Grafana's log says more"),
    "502 of a proxy": (Answer(502, "<html><h1>502 Bad Gateway</h1></html>"), ServerFaultError, "answered 502"),
    "200 with a page": (Answer(200, LOGIN_PAGE), NotAGrafanaError, "answered 200 with text/html"),
    "200 with text": (Answer(200, "hello", {"content-type": "text/plain"}), NotAGrafanaError, "with text/plain"),
    "200 that is no JSON": (Answer(200, "{", {"content-type": "application/json"}), NotAGrafanaError, "answers JSON"),
    "200 with another shape": (Answer(200, {"a": 1}), NotAGrafanaError, "a dict where Grafana gives a list"),
    "200 with nothing": (Answer(200, None), NotAGrafanaError, "grafana_url must be"),
    "404 with a page": (Answer(404, LOGIN_PAGE), NotAGrafanaError, "without a sign-in page before it"),
    "302 to sign in": (Answer(302, "", {"location": "/login?redirectTo=%2F"}), UnauthorizedError, "its sign-in page"),
    "301 to https": (
        Answer(301, "", {"location": "https://grafana.example/api"}),
        NotAGrafanaError,
        "redirects to https://grafana.example/api",
    ),
    "500 that echoes": (Answer(500, ECHO), ServerFaultError, r"Bearer \*\*\* of robot:"),
    "302 that echoes": (Answer(302, "", {"location": f"https://x/?t={TOKEN}"}), NotAGrafanaError, r"t=\*\*\*"),
}


@pytest.mark.parametrize(("answer", "kind", "words"), REPLIES.values(), ids=REPLIES)
async def test_each_reply_becomes_a_failure_that_says_what_to_do(
    server: GrafanaServer,
    caplog: pytest.LogCaptureFixture,
    answer: Answer,
    kind: type[GrafanaError],
    words: str,
) -> None:
    """Its class, its words, and no secret, whatever the server sends back."""
    server.misbehave(answer, path="alert-rules", times=100)
    connection = replace(to(server), username="robot", password=PASSWORD)
    told = await fail(connection, caplog)
    assert type(told.failure) is kind
    assert told.failure.args[0].startswith("listing alert rules: ")
    assert re.search(words, str(told.failure))


CREDENTIALS: dict[str, tuple[dict[str, Any], str]] = {
    "none": ({}, "No credentials are set: set grafana_api_key to the token of a service account"),
    "wrong token": ({"token": "glsa_wrong"}, "Invalid API key. Check grafana_api_key"),
    "expired token": ({"token": EXPIRED_TOKEN}, "The token has expired: make a new one"),
    "wrong password": ({"username": "robot", "password": PASSWORD}, "Check grafana_username and grafana_password"),
}


@pytest.mark.parametrize(("given", "words"), CREDENTIALS.values(), ids=CREDENTIALS)
async def test_who_is_not_known_is_told_how_to_sign_in(
    server: GrafanaServer, caplog: pytest.LogCaptureFixture, given: dict[str, Any], words: str
) -> None:
    """Each kind of credentials has its own advice."""
    told = await fail(Connection(url=server.url, timeout_seconds=60.0, **given), caplog)
    assert isinstance(told.failure, UnauthorizedError)
    assert words in str(told.failure)


@pytest.mark.parametrize(
    ("token", "permissions"),
    [(VIEWER_TOKEN, "folders:create"), (NO_ROLE_TOKEN, "folders:create")],
    ids=["viewer", "no role"],
)
async def test_a_missing_permission_is_named(
    server: GrafanaServer, caplog: pytest.LogCaptureFixture, token: str, permissions: str
) -> None:
    """As Grafana names it, in the message and by itself."""
    told = await fail(to(server, token=token), caplog, act=lambda client: client.ensure_folder("x", uid=None))
    assert isinstance(told.failure, ForbiddenError)
    assert told.failure.permissions == permissions
    assert permissions in str(told.failure)


# Servers that are not there, or not what they shall be


async def test_a_server_that_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    """Refused, and a host that nobody knows."""
    for url in (f"http://127.0.0.1:{free_port()}", "http://no-such-host.invalid:3000"):
        told = await fail(Connection(url=url, token=TOKEN, timeout_seconds=60.0), caplog, patience=ONCE)
        assert type(told.failure) is UnreachableError
        assert f"{url} cannot be reached" in str(told.failure)
        assert "Check grafana_url" in str(told.failure)


async def test_an_address_with_credentials_is_shown_without(caplog: pytest.LogCaptureFixture) -> None:
    """Wherever it stands in a message."""
    port = free_port()
    told = await fail(Connection(url=f"http://robot:pass%2Fword%3Awith%40signs@127.0.0.1:{port}/g"), caplog)
    assert f"http://127.0.0.1:{port}/g cannot" in str(told.failure)
    assert "robot" not in str(told.failure)


async def test_a_server_that_is_too_slow(server: GrafanaServer, caplog: pytest.LogCaptureFixture) -> None:
    """The bound is that of the settings."""
    server.misbehave(path="alert-rules", slow=True)
    told = await fail(to(server, timeout_seconds=0.5), caplog, patience=ONCE)
    assert type(told.failure) is ReplyTimeoutError
    assert "did not answer within 0.5 s" in str(told.failure)


async def test_a_reply_that_was_given_up_is_nobody_elses(server: GrafanaServer) -> None:
    """What is asked next, by the same client, gets its own."""
    server.misbehave(path="alert-rules", slow=True)
    async with GrafanaClient(to(server), patience=ONCE) as client:
        given_up = asyncio.create_task(client.rules())
        await asyncio.to_thread(wait_until, lambda: server.asked_for("GET", "alert-rules"))
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        server.go_on.set()
        for _ in range(3):
            assert (await client.health())["version"] == "12.4.0"


async def test_a_connection_that_breaks(server: GrafanaServer, caplog: pytest.LogCaptureFixture) -> None:
    """Each time: it is given up after a few."""
    server.misbehave(path="alert-rules", drop="before", times=100)
    told = await fail(to(server), caplog)
    assert type(told.failure) is UnreachableError
    assert len(server.asked_for("GET", "alert-rules")) == QUICK.attempts


async def test_a_server_that_speaks_no_tls(server: GrafanaServer, caplog: pytest.LogCaptureFixture) -> None:
    """An https address of an http server."""
    told = await fail(replace(to(server), url=server.url.replace("http:", "https:")), caplog)
    assert type(told.failure) is UnreachableError
    assert "grafana_url begins with http://" in str(told.failure)


# Trying again


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_what_passes_is_tried_again(server: GrafanaServer, status: int) -> None:
    """Reading does no harm twice."""
    server.misbehave(Answer(status, {"message": "starting"}), times=QUICK.attempts - 1, path="alert-rules")
    async with GrafanaClient(to(server), patience=QUICK) as client:
        assert await client.rules()


async def test_a_dropped_connection_is_tried_again(server: GrafanaServer) -> None:
    """Whether or not the request took effect."""
    for drop in ("before", "after"):
        server.misbehave(drop=drop, path="alert-rules")
    async with GrafanaClient(to(server), patience=QUICK) as client:
        assert await client.rules()


async def test_what_does_not_pass_is_not_tried_again(server: GrafanaServer, caplog: pytest.LogCaptureFixture) -> None:
    """500 and 4xx are asked for once."""
    for status in (500, 400, 401, 403, 404):
        server.misbehave(Answer(status, {"message": "no"}), path="alert-rules")
        await fail(to(server), caplog)
    assert len(server.asked_for("GET", "alert-rules")) == 5


async def test_what_may_have_taken_effect_is_not_sent_twice(
    server: GrafanaServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A folder is made once, though the reply got lost."""
    server.misbehave(method="POST", path="/api/folders", drop="after")
    told = await fail(to(server), caplog, act=lambda client: client.ensure_folder("Once", uid="once"))
    assert isinstance(told.failure, UnreachableError)
    assert "Whether it took effect is not known" in str(told.failure)
    assert len(server.asked_for("POST", "/api/folders")) == 1
    assert "once" in server.state.folders


async def test_too_many_requests_are_sent_again_when_the_server_wants_it(server: GrafanaServer) -> None:
    """What was refused so has not taken effect, so that a POST is repeated too."""
    server.misbehave(Answer(429, {"message": "slow down"}, {"retry-after": "0"}), method="POST", times=2)
    async with GrafanaClient(to(server), patience=QUICK) as client:
        assert (await client.ensure_folder("Once", uid="once")).uid == "once"


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7.0), ("", None), ("soon", None), ("-5", None)], ids=["7", "none", "words", "minus"]
)
async def test_a_rate_limit_says_when_to_come_back(
    server: GrafanaServer, caplog: pytest.LogCaptureFixture, header: str, seconds: float | None
) -> None:
    """Where the server says it in seconds."""
    headers = {"retry-after": header} if header else {}
    server.misbehave(Answer(429, {"message": "slow down"}, headers), path="alert-rules", times=100)
    told = await fail(to(server), caplog, patience=replace(QUICK, longest_pause_seconds=1.0))
    assert isinstance(told.failure, RateLimitedError)
    assert told.failure.retry_after_seconds == seconds


# TLS


@dataclass(frozen=True)
class Certificate:
    """A certificate that signs itself, for 127.0.0.1."""

    file: Path
    context: ssl.SSLContext


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """One certificate for all tests."""
    folder = tmp_path_factory.mktemp("tls")
    file, key = folder / "cert.pem", folder / "key.pem"
    subject = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    made = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    subprocess.run(
        ["openssl", "req", "-x509", *made, *subject, "-keyout", key, "-out", file], check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key)
    return Certificate(file, context)


@contextmanager
def secured(certificate: Certificate) -> Iterator[GrafanaServer]:
    with GrafanaServer(tls=certificate.context) as server:
        server.state.tokens[TOKEN] = "Editor"
        yield server


async def test_a_certificate_that_nobody_trusts(certificate: Certificate, caplog: pytest.LogCaptureFixture) -> None:
    """The message names the setting for its authority; nothing is tried again."""
    with secured(certificate) as server:
        told = await fail(to(server), caplog)
        assert type(told.failure) is CertificateError
        assert "Set grafana_ca_file" in str(told.failure)
        assert not server.seen


async def test_a_certificate_that_we_are_told_to_trust(certificate: Certificate) -> None:
    """With the file of its authority, or without checking."""
    with secured(certificate) as server:
        for verify in (str(certificate.file), False):
            async with GrafanaClient(to(server, verify=verify), patience=QUICK) as client:
                assert await client.rules()


async def test_a_file_of_certificates_that_is_missing(caplog: pytest.LogCaptureFixture) -> None:
    """The message names it before anything is sent."""
    told = await fail(Connection(url="https://127.0.0.1:1", verify="/no/such/file.pem"), caplog)
    assert type(told.failure) is CertificateError
    assert "there is no file '/no/such/file.pem'" in str(told.failure)


# Without sending anything


async def test_offline_sends_nothing(server: GrafanaServer, caplog: pytest.LogCaptureFixture) -> None:
    """And the failure says so."""
    told = await fail(to(server, offline=True), caplog)
    assert type(told.failure) is OfflineError
    assert "offline is set" in str(told.failure)
    assert not server.seen


async def test_a_client_is_used_while_it_is_open(server: GrafanaServer) -> None:
    """Before and after there is no connection."""
    client = GrafanaClient(to(server), patience=QUICK)
    with pytest.raises(RuntimeError, match="inside of `async with`"):
        await client.rules()
    async with client:
        assert await client.rules()
    with pytest.raises(RuntimeError, match="inside of `async with`"):
        await client.rules()


async def test_a_connection_shows_no_secret() -> None:
    """Neither its repr nor its shown address does."""
    connection = Connection(url="https://robot:pass%2Fword@grafana/x", token=TOKEN, username="u", password=PASSWORD)
    for secret in (*SECRETS, "pass/word", "pass%2Fword"):
        assert secret not in repr(connection)
        assert secret not in connection.shown
        assert secret not in connection.hide(f"a {TOKEN} b {PASSWORD} c pass%2Fword%3Awith%40signs d pass/word")


async def test_several_loops_may_use_clients_of_their_own(server: GrafanaServer) -> None:
    """A client belongs to one event loop; another loop opens its own."""

    async def count() -> int:
        async with GrafanaClient(to(server), patience=QUICK) as client:
            return len(await client.rules())

    counts = await asyncio.gather(*[asyncio.to_thread(asyncio.run, count()) for _ in range(3)], count())
    assert counts == [1, 1, 1, 1]
