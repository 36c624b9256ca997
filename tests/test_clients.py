"""HTTP clients, each against a real server: every call is counted once, to the end of its answer."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import subprocess
import sys
import threading
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import anthropic
import httpx
import httpx2
import openai
import pytest
import requests
import urllib3

from otel_monitoring import MonitoringService
from otel_monitoring.instrument.calls import LIMIT_TYPES_AT_MOST
from tests.platform_server import PIECE, PIECES, PlatformServer
from tests.servers import wait_until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

# It replaces urllib3 by one of its own wherever it is installed, so these tests do not ask for it.
niquests: Any = import_module("niquests") if find_spec("niquests") else None
with_niquests = pytest.mark.skipif(niquests is None, reason="niquests is not installed")

ROOT = Path(__file__).parents[1]
PLATFORM = "acme"
WHOLE = PIECE * PIECES


@pytest.fixture(scope="module")
def server() -> Iterator[PlatformServer]:
    """The platform, for all tests of this module."""
    with PlatformServer() as running:
        yield running


@pytest.fixture
def platform(server: PlatformServer) -> PlatformServer:
    """The platform as if nobody had called it."""
    server.asked = server.failures = 0
    server.go_on.set()
    return server


def make_service(*, strict: bool = False) -> MonitoringService:
    """Return a service that knows the server as the platform acme, and does little else."""
    return MonitoringService(strict=strict, platforms={"127.0.0.1": PLATFORM}, third_party=False, resources=False)


@pytest.fixture
def monitoring() -> Iterator[MonitoringService]:
    """A service that knows the server as the platform acme; its hooks are undone in the end."""
    with make_service(strict=True) as service:
        yield service


@pytest.fixture
def hooked(monitoring: MonitoringService) -> MonitoringService:
    """The same with every client library hooked."""
    monitoring.instrument()
    return monitoring


def outcomes(monitoring: MonitoringService) -> dict[str, float]:
    """Return the calls to the platform by outcome, those that are none left out."""
    return {
        point.labels["outcome"]: point.value
        for point in monitoring.registry.snapshot().points()
        if point.metric.name == "api_requests"
        and point.labels["platform"] == PLATFORM
        and isinstance(point.value, float)
        and point.value
    }


def durations(monitoring: MonitoringService) -> int:
    """Return how many durations of calls to the platform were recorded."""
    points = monitoring.registry.snapshot().points()
    found = [point.value for point in points if point.metric.name == "api_request_duration"]
    return sum(getattr(value, "count", 0) for value in found)


def in_loop(work: Callable[[], Awaitable[Any]]) -> Any:
    """Run a coroutine function in a loop of its own."""

    async def run() -> Any:
        return await work()

    return asyncio.run(run())


# One call by each client: takes a URL and returns status and body.


def by_httpx2(url: str) -> tuple[int, bytes]:
    with httpx2.Client() as client:
        answer = client.get(url)
        return answer.status_code, answer.content


def by_httpx(url: str) -> tuple[int, bytes]:
    with httpx.Client() as client:
        answer = client.get(url)
        return answer.status_code, answer.content


def by_httpx2_async(url: str) -> tuple[int, bytes]:
    async def work() -> tuple[int, bytes]:
        async with httpx2.AsyncClient() as client:
            answer = await client.get(url)
            return answer.status_code, answer.content

    result: tuple[int, bytes] = in_loop(work)
    return result


def by_httpx_async(url: str) -> tuple[int, bytes]:
    async def work() -> tuple[int, bytes]:
        async with httpx.AsyncClient() as client:
            answer = await client.get(url)
            return answer.status_code, answer.content

    result: tuple[int, bytes] = in_loop(work)
    return result


def by_requests(url: str) -> tuple[int, bytes]:
    with requests.Session() as session:
        answer = session.get(url, allow_redirects=False)
        return answer.status_code, answer.content


def by_niquests(url: str) -> tuple[int, bytes]:
    with niquests.Session() as session:
        answer = session.get(url, allow_redirects=False)
        return answer.status_code or 0, answer.content or b""


def by_niquests_async(url: str) -> tuple[int, bytes]:
    async def work() -> tuple[int, bytes]:
        async with niquests.AsyncSession() as session:
            answer = await session.get(url, allow_redirects=False)
            return answer.status_code or 0, answer.content or b""

    result: tuple[int, bytes] = in_loop(work)
    return result


def by_aiohttp(url: str) -> tuple[int, bytes]:
    async def work() -> tuple[int, bytes]:
        async with aiohttp.ClientSession() as session, session.get(url, allow_redirects=False) as answer:
            return answer.status, await answer.read()

    result: tuple[int, bytes] = in_loop(work)
    return result


def by_urllib3(url: str) -> tuple[int, bytes]:
    with urllib3.PoolManager() as pool:
        answer = pool.request("GET", url, redirect=False, retries=False)
        return answer.status, answer.data


ONE_CALL = [
    by_httpx2,
    by_httpx,
    by_httpx2_async,
    by_httpx_async,
    by_requests,
    by_aiohttp,
    by_urllib3,
]
each_client = pytest.mark.parametrize(
    "call",
    [*ONE_CALL, *(pytest.param(call, marks=with_niquests) for call in (by_niquests, by_niquests_async))],
)


@each_client
@pytest.mark.parametrize(
    ("status", "headers", "outcome"),
    [
        (200, {}, "success"),
        (204, {}, "success"),
        (404, {}, "client_error"),
        (401, {}, "auth_error"),
        (403, {}, "auth_error"),
        (403, {"x_ratelimit_remaining": "0"}, "rate_limited"),
        (429, {}, "rate_limited"),
        (500, {}, "server_error"),
        (503, {"retry_after": "30"}, "server_error"),
    ],
)
def test_a_call_is_counted_once_under_its_outcome(
    hooked: MonitoringService,
    platform: PlatformServer,
    call: Callable[[str], Any],
    status: int,
    headers: dict[str, str],
    outcome: str,
) -> None:
    """Each library, each class of status; the answer is as it always was."""
    assert call(platform.url(f"/status/{status}", **headers)) == (status, b"" if status == 204 else b"body")
    assert outcomes(hooked) == {outcome: 1}
    assert durations(hooked) == 1


@each_client
def test_the_headers_tell_the_headroom(
    hooked: MonitoringService, platform: PlatformServer, call: Callable[[str], Any]
) -> None:
    """Without a line of code for it."""
    call(platform.url("/status/200", x_ratelimit_limit_tokens="100", x_ratelimit_remaining_tokens="95"))
    call(platform.url("/status/429", retry_after="3600"))
    tokens = hooked.rate_limits.status(PLATFORM, "tokens")
    assert (tokens.limit, tokens.remaining, tokens.hits) == (100, 95, 0)
    refused = hooked.rate_limits.status(PLATFORM, "api")
    assert (refused.remaining, refused.hits) == (0, 1)
    assert refused.reset is not None


@each_client
def test_no_connection_is_a_server_error(hooked: MonitoringService, call: Callable[[str], Any]) -> None:
    """The exception is the library's own, and it goes on its way."""
    with pytest.raises((httpx2.ConnectError, httpx.ConnectError, OSError, urllib3.exceptions.HTTPError)):
        call("http://127.0.0.1:1/")
    assert outcomes(hooked) == {"server_error": 1}


@each_client
def test_another_host_is_a_platform_of_its_own(
    hooked: MonitoringService, platform: PlatformServer, call: Callable[[str], Any]
) -> None:
    """A host that no table knows is counted under its own name."""
    call(platform.url("/status/200").replace("127.0.0.1", "localhost"))
    points = hooked.registry.snapshot().points()
    counted = {
        point.labels["platform"]: point.value for point in points if point.metric.name == "api_requests" and point.value
    }
    assert counted == {"localhost": 1}


# One stream by each client: takes a URL and gives the pieces.


def stream_httpx2(url: str) -> Iterator[bytes]:
    with httpx2.Client() as client, client.stream("GET", url) as answer:
        yield from answer.iter_bytes()


def stream_httpx(url: str) -> Iterator[bytes]:
    with httpx.Client() as client, client.stream("GET", url) as answer:
        yield from answer.iter_bytes()


def stream_requests(url: str) -> Iterator[bytes]:
    with requests.Session() as session, session.get(url, stream=True) as answer:
        yield from answer.iter_content(1000)


def stream_niquests(url: str) -> Iterator[bytes]:
    with niquests.Session() as session, session.get(url, stream=True) as answer:
        yield from answer.iter_content(1000)


def stream_urllib3(url: str) -> Iterator[bytes]:
    with urllib3.PoolManager() as pool:
        answer = pool.request("GET", url, preload_content=False)
        yield from answer.stream(1000)
        answer.close()


each_stream = pytest.mark.parametrize(
    "stream",
    [stream_httpx2, stream_httpx, stream_requests, pytest.param(stream_niquests, marks=with_niquests), stream_urllib3],
)


@each_stream
def test_a_stream_is_measured_to_its_end(
    hooked: MonitoringService, platform: PlatformServer, stream: Callable[[str], Iterator[bytes]]
) -> None:
    """As long as the platform has not sent all of it, the call goes on."""
    platform.go_on.clear()
    pieces = stream(platform.url("/stream"))
    first = next(pieces)
    assert outcomes(hooked) == {}
    platform.go_on.set()
    assert first + b"".join(pieces) == WHOLE
    assert outcomes(hooked) == {"success": 1}
    assert durations(hooked) == 1


@each_stream
def test_a_stream_that_is_left_early_counts_too(
    hooked: MonitoringService, platform: PlatformServer, stream: Callable[[str], Iterator[bytes]]
) -> None:
    """The platform did what it was asked for."""
    platform.go_on.clear()
    pieces: Any = stream(platform.url("/stream"))
    next(pieces)
    pieces.close()
    del pieces
    gc.collect()
    assert outcomes(hooked) == {"success": 1}


@each_stream
def test_a_stream_that_breaks_off_is_a_server_error(
    hooked: MonitoringService, platform: PlatformServer, stream: Callable[[str], Iterator[bytes]]
) -> None:
    """However its answer began."""
    with pytest.raises(Exception, match=r"(?i)peer closed|incomplete|broken|read"):
        list(stream(platform.url("/break")))
    gc.collect()
    assert outcomes(hooked) == {"server_error": 1}


@pytest.mark.parametrize("library", [httpx2, httpx])
def test_an_async_stream_is_measured_to_its_end(
    hooked: MonitoringService, platform: PlatformServer, library: Any
) -> None:
    """It is read, closed before its first piece, left early, or breaks off."""

    async def work() -> None:
        async with library.AsyncClient() as client:
            platform.go_on.clear()
            async with client.stream("GET", platform.url("/stream")) as answer:
                assert outcomes(hooked) == {}
                platform.go_on.set()
                assert b"".join([piece async for piece in answer.aiter_bytes()]) == WHOLE
            assert outcomes(hooked) == {"success": 1}
            async with client.stream("GET", platform.url("/stream")):
                pass
            assert outcomes(hooked) == {"success": 2}
            async with client.stream("GET", platform.url("/stream")) as answer:
                async for _ in answer.aiter_raw():
                    break
            assert outcomes(hooked) == {"success": 3}
            with pytest.raises(library.RemoteProtocolError):
                async with client.stream("GET", platform.url("/break")) as answer:
                    await answer.aread()

    asyncio.run(work())
    assert outcomes(hooked) == {"success": 3, "server_error": 1}
    assert durations(hooked) == 4


@with_niquests
def test_an_async_stream_of_niquests_is_measured_to_its_end(
    hooked: MonitoringService, platform: PlatformServer
) -> None:
    """It is read, closed before its first piece, left early, or breaks off."""

    async def work() -> None:
        async with niquests.AsyncSession() as session:
            platform.go_on.clear()
            answer = await session.get(platform.url("/stream"), stream=True)
            assert outcomes(hooked) == {}
            platform.go_on.set()
            assert b"".join([piece async for piece in await answer.iter_content(1000)]) == WHOLE
            assert outcomes(hooked) == {"success": 1}
            answer = await session.get(platform.url("/stream"), stream=True)
            assert await answer.content == WHOLE
            assert outcomes(hooked) == {"success": 2}
            answer = await session.get(platform.url("/stream"), stream=True)
            await answer.close()
            assert outcomes(hooked) == {"success": 3}
            async with await session.get(platform.url("/stream"), stream=True) as answer:
                async for _ in await answer.iter_raw(1000):
                    break
            assert outcomes(hooked) == {"success": 4}
            answer = await session.get(platform.url("/break"), stream=True)
            with pytest.raises(niquests.RequestException):
                await answer.content

    asyncio.run(work())
    assert outcomes(hooked) == {"success": 4, "server_error": 1}
    assert durations(hooked) == 5


def test_an_aiohttp_stream_is_measured_to_its_end(hooked: MonitoringService, platform: PlatformServer) -> None:
    """It is read, left early, or breaks off."""

    async def work() -> None:
        async with aiohttp.ClientSession() as session:
            platform.go_on.clear()
            async with session.get(platform.url("/stream")) as answer:
                await answer.content.readany()
                assert outcomes(hooked) == {}
                platform.go_on.set()
                await answer.read()
            assert outcomes(hooked) == {"success": 1}
            platform.go_on.clear()
            async with session.get(platform.url("/stream")) as answer:
                await answer.content.readany()
                answer.close()
            assert outcomes(hooked) == {"success": 2}
            with pytest.raises(aiohttp.ClientPayloadError):
                async with session.get(platform.url("/break")) as answer:
                    await answer.read()

    asyncio.run(work())
    assert outcomes(hooked) == {"success": 2, "server_error": 1}
    assert durations(hooked) == 3


@pytest.mark.parametrize("library", [httpx2, httpx, requests])
def test_no_answer_in_time_is_a_timeout(hooked: MonitoringService, platform: PlatformServer, library: Any) -> None:
    """Whatever the library calls it."""
    platform.go_on.clear()
    with pytest.raises(getattr(library, "TimeoutException", requests.Timeout)):
        library.get(platform.url("/slow"), timeout=0.05)
    assert outcomes(hooked) == {"timeout": 1}


def test_urllib3_and_aiohttp_time_out_too(hooked: MonitoringService, platform: PlatformServer) -> None:
    """In urllib3 behind its retries, in aiohttp as the standard library's own exception."""
    platform.go_on.clear()
    with urllib3.PoolManager() as pool, pytest.raises(urllib3.exceptions.MaxRetryError):
        pool.request("GET", platform.url("/slow"), timeout=0.05, retries=1)

    async def work() -> None:
        timeout = aiohttp.ClientTimeout(total=0.05)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            with pytest.raises(TimeoutError):
                await session.get(platform.url("/slow"))

    asyncio.run(work())
    assert outcomes(hooked) == {"timeout": 2}


@pytest.mark.parametrize("kind", ["httpx2", "aiohttp"])
def test_a_call_that_the_caller_gives_up_is_cancelled(
    hooked: MonitoringService, platform: PlatformServer, kind: str
) -> None:
    """As ``asyncio.timeout`` around it does."""
    platform.go_on.clear()

    async def work() -> None:
        async with httpx2.AsyncClient() as client, aiohttp.ClientSession() as session:
            ask: Any = client.get if kind == "httpx2" else session.get
            task = asyncio.ensure_future(ask(platform.url("/slow")))
            await asyncio.to_thread(wait_until, lambda: platform.asked)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    asyncio.run(work())
    assert outcomes(hooked) == {"cancelled": 1}


def test_clients_made_before_are_counted(monitoring: MonitoringService, platform: PlatformServer) -> None:
    """Also those of subclasses, and over transports of the user's own."""

    class Own(httpx2.Client):
        pass

    url = platform.url("/status/200")
    clients: list[Any] = [
        Own(),
        httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200, text="hi"))),
        requests.Session(),
        *([niquests.Session()] if niquests else []),
    ]
    pool = urllib3.PoolManager()

    async def work() -> None:
        async with aiohttp.ClientSession() as session, httpx2.AsyncClient() as client:
            monitoring.instrument()
            await client.get(url)
            async with session.get(url) as answer:
                await answer.read()

    asyncio.run(work())
    for one in clients:
        one.get(url)
        one.close()
    pool.request("GET", url)
    pool.clear()
    assert outcomes(monitoring) == {"success": len(clients) + 3}


def test_redirects_and_retries_inside_of_a_client_are_one_call(
    hooked: MonitoringService, platform: PlatformServer
) -> None:
    """What the caller sees is one call; it counts as it ends."""
    url = platform.url("/redirect")
    requests.get(url, timeout=30)
    httpx2.get(url, follow_redirects=True)
    with urllib3.PoolManager() as pool:
        pool.request("GET", url)
        platform.failures = 2
        retries = urllib3.Retry(3, status_forcelist=[429], respect_retry_after_header=False)
        pool.request("GET", platform.url("/status/200"), retries=retries)
    assert outcomes(hooked) == {"success": 4}
    assert platform.asked == 9


def test_too_many_redirects_and_wrong_addresses_are_the_clients_fault(
    hooked: MonitoringService, platform: PlatformServer
) -> None:
    """The platform has no part in it."""
    with requests.Session() as session:
        session.max_redirects = 0
        with pytest.raises(requests.TooManyRedirects):
            session.get(platform.url("/redirect"))
    with pytest.raises(httpx2.UnsupportedProtocol):
        httpx2.get("ftp://127.0.0.1/")
    assert outcomes(hooked) == {"client_error": 2}


def test_an_event_hook_that_raises_for_a_status_changes_no_outcome(
    hooked: MonitoringService, platform: PlatformServer
) -> None:
    """Neither httpx2's nor aiohttp's own: the answer stands in the exception."""

    def raise_for_status(answer: httpx2.Response) -> None:
        answer.raise_for_status()

    with httpx2.Client(event_hooks={"response": [raise_for_status]}) as client, pytest.raises(httpx2.HTTPStatusError):
        client.get(platform.url("/status/429", retry_after="60"))

    async def work() -> None:
        async with aiohttp.ClientSession(raise_for_status=True) as session:
            with pytest.raises(aiohttp.ClientResponseError):
                await session.get(platform.url("/status/429", retry_after="60"))

    asyncio.run(work())
    assert outcomes(hooked) == {"rate_limited": 2}
    assert hooked.rate_limits.status(PLATFORM).hits == 2


def test_openai(hooked: MonitoringService, platform: PlatformServer) -> None:
    """Its client stands on httpx2: each attempt is a call, and the headroom is that of its own headers."""
    with openai.OpenAI(api_key="none", base_url=platform.url("/v1"), max_retries=2) as client:
        platform.failures = 1
        said = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}])
        assert said.choices[0].message.content == "Hello"
        assert outcomes(hooked) == {"rate_limited": 1, "success": 1}
        platform.go_on.clear()
        pieces = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hi"}], stream=True)
        text = next(pieces).choices[0].delta.content or ""
        assert outcomes(hooked) == {"rate_limited": 1, "success": 1}
        platform.go_on.set()
        text += "".join(piece.choices[0].delta.content or "" for piece in pieces)
    assert text == "Hello"
    assert outcomes(hooked) == {"rate_limited": 1, "success": 2}
    assert platform.asked == 3
    assert hooked.rate_limits.status(PLATFORM, "tokens").remaining == 149984


def test_anthropic_async(hooked: MonitoringService, platform: PlatformServer) -> None:
    """Its client stands on httpx2, too."""

    async def work() -> None:
        async with anthropic.AsyncAnthropic(api_key="none", base_url=platform.url("")) as client:
            said = await client.messages.create(model="m", max_tokens=10, messages=[{"role": "user", "content": "Hi"}])
            assert said.content[0].type == "text"

    asyncio.run(work())
    assert outcomes(hooked) == {"success": 1}
    assert platform.asked == 1


def test_one_client_can_be_hooked_alone(monitoring: MonitoringService, platform: PlatformServer) -> None:
    """Other clients of the library are left as they are; doing it twice changes nothing."""
    url = platform.url("/status/200")
    clients: list[Any] = [httpx2.Client(), httpx.Client(), requests.Session()]
    for client in clients:
        assert monitoring.instrument(client) is client
        monitoring.instrument(client)
        client.get(url)
        client.close()
        with type(client)() as other:
            other.get(url)
    with urllib3.PoolManager() as pool:
        monitoring.instrument(pool).request("GET", url)

    async def work() -> None:
        async with aiohttp.ClientSession() as session, aiohttp.ClientSession() as other:
            monitoring.instrument(session)
            for one in (session, other):
                async with one.get(url) as answer:
                    await answer.read()

    asyncio.run(work())
    assert outcomes(monitoring) == {"success": 5}


def test_what_is_no_client_is_refused(monitoring: MonitoringService) -> None:
    """The message says what would be right."""
    with pytest.raises(TypeError, match=", or an HTTP client"):
        monitoring.instrument(object())


def test_shutdown_puts_everything_back(platform: PlatformServer) -> None:
    """The methods are the libraries' own again, and what somebody has put on top records nothing."""
    before = [httpx2.Client.send, requests.Session.send, aiohttp.ClientSession.get, urllib3.PoolManager.urlopen]
    service = make_service(strict=True)
    client = httpx2.Client()
    service.instrument(client)
    service.instrument()
    assert before[0] is not httpx2.Client.send
    hooked_send = httpx.Client.send

    def on_top(*given: Any, **options: Any) -> httpx.Response:
        return hooked_send(*given, **options)

    own = pytest.MonkeyPatch()
    own.setattr(httpx.Client, "send", on_top)
    service.shutdown()
    after = [httpx2.Client.send, requests.Session.send, aiohttp.ClientSession.get, urllib3.PoolManager.urlopen]
    assert before == after
    httpx.get(platform.url("/status/200"))
    client.get(platform.url("/status/200"))
    client.close()
    own.setattr(httpx.Client, "send", inspect.unwrap(hooked_send))
    assert outcomes(service) == {}


def test_hooking_again_changes_nothing(hooked: MonitoringService) -> None:
    """However often it is asked for."""
    before = [httpx2.Client.send, requests.Session.send, aiohttp.ClientSession.get, urllib3.HTTPResponse.close]
    hooked.instrument()
    assert before == [httpx2.Client.send, requests.Session.send, aiohttp.ClientSession.get, urllib3.HTTPResponse.close]


def test_two_services_count_each_for_itself(hooked: MonitoringService, platform: PlatformServer) -> None:
    """Each has hooks of its own."""
    with make_service() as other:
        other.instrument()
        by_requests(platform.url("/status/200"))
        assert outcomes(other) == {"success": 1}
    assert outcomes(hooked) == {"success": 1}


def test_a_fault_of_ours_never_reaches_the_caller(platform: PlatformServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not where the call begins, and not where its answer is read: it is counted, and the answer is there."""
    with make_service() as service:
        service.instrument()

        def fail(*args: object, **kwargs: object) -> None:
            raise RuntimeError("a fault of ours")

        monkeypatch.setattr("otel_monitoring.instrument.calls.read_limits", fail)
        assert [call(platform.url("/status/200")) for call in ONE_CALL] == [(200, b"body")] * len(ONE_CALL)
        monkeypatch.setattr("otel_monitoring.instrument.platforms.Platforms.of", fail)
        assert [call(platform.url("/status/200")) for call in ONE_CALL] == [(200, b"body")] * len(ONE_CALL)
        dropped = service.registry.snapshot().points()
        faults = [point.value for point in dropped if point.labels == {"reason": "internal"}]
        assert outcomes(service) == {"success": len(ONE_CALL)}
        # A client that stands on another fails to begin twice.
        assert isinstance(faults[0], float)
        assert faults[0] >= 2 * len(ONE_CALL)


def test_an_answer_that_is_thrown_away_is_counted(hooked: MonitoringService, platform: PlatformServer) -> None:
    """Never read, never closed: it ends when nobody has it any more."""
    client = httpx2.Client()
    answer: object = client.send(client.build_request("GET", platform.url("/stream")), stream=True)
    assert outcomes(hooked) == {}
    del answer
    gc.collect()
    wait_until(lambda: outcomes(hooked))
    client.close()
    assert outcomes(hooked) == {"success": 1}


def test_what_is_given_by_keyword_or_set_on_the_client_is_seen(
    hooked: MonitoringService, platform: PlatformServer
) -> None:
    """A request by its name, and a session whose answers are always streams."""
    with httpx2.Client() as client:
        client.send(request=client.build_request("GET", platform.url("/status/200")))
    with requests.Session() as session:
        session.stream = True
        platform.go_on.clear()
        answer = session.send(request=session.prepare_request(requests.Request("GET", platform.url("/stream"))))
        assert outcomes(hooked) == {"success": 1}
        platform.go_on.set()
        assert answer.content == WHOLE
    assert outcomes(hooked) == {"success": 2}


def test_a_stream_read_while_an_exception_is_handled_did_not_break_off(
    hooked: MonitoringService, platform: PlatformServer
) -> None:
    """As in a second attempt, made where the first one is caught."""
    with requests.Session() as session:
        try:
            session.get(platform.url("/break"), stream=True).raw.read()
        except urllib3.exceptions.HTTPError:
            session.get(platform.url("/stream"), stream=True).raw.read()
    assert outcomes(hooked) == {"server_error": 1, "success": 1}


def test_calls_at_the_same_time_are_counted_each(hooked: MonitoringService, platform: PlatformServer) -> None:
    """Tasks and threads know nothing of each other's calls."""
    url = platform.url("/status/200")

    async def work() -> None:
        async with httpx2.AsyncClient() as client, asyncio.TaskGroup() as tasks:
            for _ in range(20):
                tasks.create_task(client.get(url))

    threads = [threading.Thread(target=by_requests, args=(url,)) for _ in range(10)]
    for thread in threads:
        thread.start()
    asyncio.run(work())
    for thread in threads:
        thread.join()
    assert outcomes(hooked) == {"success": 30}


def test_a_task_that_is_started_while_a_call_is_sent_makes_calls_of_its_own(
    hooked: MonitoringService, platform: PlatformServer
) -> None:
    """Once that call is sent, it is around nothing any more."""
    url = platform.url("/status/200")
    later: list[asyncio.Task[tuple[int, bytes]]] = []

    async def call_later(sent: asyncio.Event) -> tuple[int, bytes]:
        await sent.wait()
        async with httpx2.AsyncClient() as client:
            answer = await client.get(url)
            return answer.status_code, answer.content

    async def work() -> None:
        sent = asyncio.Event()

        async def start(_request: httpx2.Request) -> None:
            later.append(asyncio.create_task(call_later(sent)))

        async with httpx2.AsyncClient(event_hooks={"request": [start]}) as client:
            await client.get(url)
        sent.set()
        await later[0]

    asyncio.run(work())
    assert outcomes(hooked) == {"success": 2}


def test_a_platform_without_a_name_is_not_measured(platform: PlatformServer) -> None:
    """So calls of other monitoring can be left out."""
    with MonitoringService(strict=True, platforms="127.0.0.1=", third_party=False, resources=False) as service:
        service.instrument()
        by_requests(platform.url("/status/200"))
        assert durations(service) == 0


def test_a_platform_that_invents_limits_is_not_listened_to_for_ever(
    hooked: MonitoringService, platform: PlatformServer
) -> None:
    """Fifty of its limits are told apart."""
    with httpx2.Client() as client:
        for number in range(60):
            client.get(platform.url("/status/200", **{f"x_ratelimit_remaining_{number}": "5"}))
    points = hooked.registry.snapshot().points()
    assert len([point for point in points if point.metric.name == "rate_limit_remaining"]) == LIMIT_TYPES_AT_MOST


def test_a_call_to_another_platform_inside_of_a_call_is_one_of_its_own(
    hooked: MonitoringService, platform: PlatformServer
) -> None:
    """As an application makes it that is called in its own process, as tests do."""
    url = platform.url("/status/200")

    async def application(scope: Any, receive: Any, send: Any) -> None:
        async with httpx2.AsyncClient() as client:
            answer = await client.get(url)
        await send({"type": "http.response.start", "status": answer.status_code, "headers": []})
        await send({"type": "http.response.body", "body": answer.content})

    async def work() -> None:
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(application)) as client:
            assert (await client.get("http://application/")).content == b"body"

    asyncio.run(work())
    assert outcomes(hooked) == {"success": 1}
    assert durations(hooked) == 2


def test_a_call_by_way_of_a_proxy_is_one_to_where_it_goes(hooked: MonitoringService, platform: PlatformServer) -> None:
    """The proxy is no platform."""
    proxy = platform.url("").replace("127.0.0.1", "localhost")
    requests.get("http://127.0.0.1:1/status/200", proxies={"http": proxy}, timeout=30)
    with httpx2.Client(proxy=proxy) as client:
        client.get("http://127.0.0.1:1/status/200")
    assert outcomes(hooked) == {"success": 2}
    assert durations(hooked) == 2


def test_libraries_can_be_hooked_one_by_one(monitoring: MonitoringService, platform: PlatformServer) -> None:
    """Calls of the others are not counted, until theirs is hooked, too."""
    monitoring.instrument_clients("requests")
    by_requests(platform.url("/ok"))
    by_httpx2(platform.url("/ok"))
    assert outcomes(monitoring) == {"success": 1}
    monitoring.instrument_clients("httpx2")
    by_httpx2(platform.url("/ok"))
    assert outcomes(monitoring) == {"success": 2}


def test_a_library_that_is_not_known_is_refused(monitoring: MonitoringService) -> None:
    """The message names it, and those that are known."""
    with pytest.raises(ValueError, match="pycurl: clients are those of httpx2, httpx"):
        monitoring.instrument_clients("requests", "pycurl")


ALIASED = """
import httpx2
httpx2.alias_httpx()
import httpx
from otel_monitoring import MonitoringService

assert httpx.Client is httpx2.Client
monitoring = MonitoringService(platforms={"acme.test": "acme"}, third_party=False, resources=False)
monitoring.instrument()
transport = httpx.MockTransport(lambda request: httpx.Response(200))
with httpx.Client(transport=transport) as client:
    client.get("http://acme.test/")
points = monitoring.registry.snapshot().points()
print([point.value for point in points if point.metric.name == "api_requests" and point.value])
"""


def test_httpx2_in_the_place_of_httpx_is_counted_once() -> None:
    """Then there is one class under two names."""
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", ALIASED], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (ran.stdout, ran.stderr) == ("[1.0]\n", "")


UNREAD = """
import asyncio, sys
import aiohttp, httpx2, requests, urllib3
from otel_monitoring import MonitoringService

url = sys.argv[1]
monitoring = MonitoringService(platforms={"127.0.0.1": "acme"}, third_party=False, resources=False)
monitoring.instrument()

async def ask():
    session, client = aiohttp.ClientSession(), httpx2.AsyncClient()
    answers = await session.get(url), await client.send(client.build_request("GET", url), stream=True)
    return session, client, answers

client = httpx2.Client()
answers = [
    asyncio.run(ask()),
    client.send(client.build_request("GET", url), stream=True),
    requests.get(url, stream=True),
    urllib3.PoolManager().request("GET", url, preload_content=False),
]
sys.modules["unread"] = answers  # so they go last of all
"""


def test_answers_that_nobody_reads_before_the_process_ends_make_no_noise(platform: PlatformServer) -> None:
    """Libraries may complain of them, as aiohttp does; we do not."""
    platform.go_on.clear()
    command = [sys.executable, "-c", UNREAD, platform.url("/stream")]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    assert "otel_monitoring" not in ran.stderr
