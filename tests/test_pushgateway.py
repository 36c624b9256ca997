"""Pushing to a real Pushgateway, and to servers that behave badly."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import otel_monitoring
from otel_monitoring.catalogue.shipped import SYSTEM_ERRORS
from otel_monitoring.exceptions import ConfigurationError, PushError
from otel_monitoring.export.pushgateway import Backoff, Pusher, Pushgateway
from otel_monitoring.export.text import Exposition
from otel_monitoring.metrics import Registry
from tests.servers import PATIENCE_SECONDS, free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from otel_monitoring.export.render import Render
    from tests.servers import PushgatewayServer

pytestmark = pytest.mark.programs

TEXT = "text/plain; version=0.0.4; charset=utf-8"
SOON = Backoff(first_seconds=0.01, highest_seconds=0.05, attempts=100)


def body(value: int) -> bytes:
    return f"# HELP done_total Done.\n# TYPE done_total counter\ndone_total {value}\n".encode()


class Badly:
    """A server that answers every request with one status, and keeps what it was sent."""

    def __init__(self, status: int, headers: dict[str, str]) -> None:
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        seen = self.requests

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                """Note the request, and answer."""
                seen.append((self.command, self.path, {name.lower(): text for name, text in self.headers.items()}))
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(status)
                for name, text in {**headers, "Content-Length": "7"}.items():
                    self.send_header(name, text)
                self.end_headers()
                self.wfile.write(b"no\nway\n")

            do_GET = do_PUT = do_DELETE = answer  # noqa: N815 (the base class's)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's)
                """Write nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def answering(status: int, **headers: str) -> Generator[Badly]:
    badly = Badly(status, headers)
    with badly.server:
        thread = threading.Thread(target=badly.server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield badly
        finally:
            badly.server.shutdown()
            thread.join()


@contextmanager
def black_hole() -> Generator[str]:
    """A server that accepts, in its queue, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


class Made:
    """A pusher, and how often it said that it failed."""

    def __init__(self, registry: Registry, gateway: Pushgateway, render: Render, interval: float | None) -> None:
        self.failures = 0
        self.pusher = Pusher(
            gateway,
            render,
            incidents=registry.incidents,
            failed=self.fail,
            interval_seconds=interval,
            backoff=SOON,
        )

    def fail(self) -> None:
        """Count one."""
        self.failures += 1


@pytest.fixture
def make(registry: Registry) -> Iterator[Callable[..., Made]]:
    """Make started pushers that end with the test."""
    made: list[Made] = []

    def make(gateway: Pushgateway, render: Render, interval: float | None = None) -> Made:
        made.append(Made(registry, gateway, render, interval))
        made[-1].pusher.start()
        return made[-1]

    yield make
    for each in made:
        each.pusher.shutdown(0)


# One group on a gateway


def test_a_push_replaces_what_the_group_held(pushgateway: PushgatewayServer) -> None:
    gateway = Pushgateway(pushgateway.url, "batch", "host")
    gateway.push(body(1) + b"other 5\n", TEXT)
    gateway.push(body(2), TEXT)
    (sample,) = pushgateway.samples("done_total")
    assert sample == ({"job": "batch", "instance": "host"}, 2)
    assert pushgateway.samples("other") == []


def test_groups_are_kept_apart(pushgateway: PushgatewayServer) -> None:
    Pushgateway(pushgateway.url, "batch", "a").push(body(1), TEXT)
    Pushgateway(pushgateway.url, "batch", "b", grouping={"shard": "1"}).push(body(2), TEXT)
    Pushgateway(pushgateway.url, "batch").push(body(3), TEXT)
    assert sorted(sample.value for sample in pushgateway.samples("done_total")) == [1, 2, 3]


def test_delete_removes_the_group_and_no_other(pushgateway: PushgatewayServer) -> None:
    first, second = (Pushgateway(pushgateway.url, "batch", instance) for instance in "ab")
    first.push(body(1), TEXT)
    second.push(body(2), TEXT)
    first.delete()
    wait_until(lambda: [group["instance"] for group in pushgateway.groups()] == ["b"])


@pytest.mark.parametrize(
    "value",
    [
        "a/b",
        "/",
        "//",
        ".",
        "..",
        "a b",
        "a+b",
        "a%2Fb",
        "a?b#c",
        "ü€😀",
        "@base64",
        "a\\b",
        '"',
        "\n",
        "\x00",
        "=",
        "~",
    ],
)
def test_any_value_is_carried_in_the_path(pushgateway: PushgatewayServer, value: str) -> None:
    Pushgateway(pushgateway.url, value, value, grouping={"shard": value, "empty": ""}).push(body(1), TEXT)
    (group,) = pushgateway.groups()
    assert group == {"job": value, "instance": value, "shard": value, "empty": ""}


@given(value=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_text_it_is(pushgateway: PushgatewayServer, value: str) -> None:
    gateway = Pushgateway(pushgateway.url, "batch", value)
    gateway.push(body(1), TEXT)
    assert {"job": "batch", "instance": value} in pushgateway.groups()
    gateway.delete()
    wait_until(lambda: not pushgateway.groups())  # it says 202 and does it then


def test_values_with_slashes_and_empty_ones_go_in_base64() -> None:
    """The examples of the Pushgateway's README."""
    gateway = Pushgateway("http://gateway", "directory_cleaner", grouping={"path": "/var/tmp", "name": ""})
    assert gateway.group_url == ("http://gateway/metrics/job/directory_cleaner/path@base64/L3Zhci90bXA=/name@base64/=")
    assert Pushgateway("http://gateway", "a b").group_url == "http://gateway/metrics/job/a%20b"


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("gateway:9091", "http://gateway:9091"),
        ("http://gateway:9091/", "http://gateway:9091"),
        ("https://gateway/prefix/", "https://gateway/prefix"),
        ("http://[::1]:9091", "http://[::1]:9091"),
        ("http://ada:ge%2Fheim@gateway:9091", "http://gateway:9091"),
    ],
)
def test_the_url_is_taken_as_people_write_it(url: str, base: str) -> None:
    assert Pushgateway(url, "batch").url == base


@pytest.mark.parametrize(
    "url",
    ["", "http://", "ftp://ada:geheim@x", "http://ada:ge/heim@x", "http://ada:ge#heim@x", "http://ada:geheim@x:y"],
)
def test_what_is_no_url_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="http://gateway:9091") as caught:
        Pushgateway(url, "batch")
    assert "heim" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Pushgateway("http://x", "", grouping={"job": "a", "a-b": "c", "__x": "d", "ok": ""})
    assert len(caught.value.problems) == 4


@pytest.mark.parametrize("direct", [True, False])
def test_credentials_are_sent_and_never_shown(direct: bool, caplog: pytest.LogCaptureFixture) -> None:
    with answering(401) as badly, caplog.at_level(logging.DEBUG):
        url = badly.url if direct else badly.url.replace("//", "//ada:ge%2Fheim@")
        gateway = Pushgateway(url, "batch", username="ada" if direct else None, password="ge/heim" if direct else None)
        with pytest.raises(PushError) as caught:
            gateway.with_instance("other").push(body(1), TEXT)
    assert badly.requests[0][2]["authorization"] == "Basic YWRhOmdlL2hlaW0="
    assert "heim" not in repr(gateway) + str(caught.value) + gateway.group_url + caplog.text
    assert "ada" not in repr(gateway)


def test_a_refusal_says_what_the_gateway_said(pushgateway: PushgatewayServer) -> None:
    with pytest.raises(PushError, match=r"answered 400 Bad Request: .*parsing error") as caught:
        Pushgateway(pushgateway.url, "batch").push(b"no metrics", TEXT)
    assert (caught.value.kind, caught.value.passing) == ("http_400", False)


def test_a_redirect_is_not_followed() -> None:
    """Followed as most clients do, PUT would become GET, and its 200 a success."""
    with answering(302, Location="/elsewhere") as badly:
        with pytest.raises(PushError, match="redirects are not followed") as caught:
            Pushgateway(badly.url, "batch").push(body(1), TEXT)
        assert [request[0] for request in badly.requests] == ["PUT"]
    assert (caught.value.kind, caught.value.passing) == ("http_302", False)


def test_what_went_wrong_has_a_kind() -> None:
    with black_hole() as url, pytest.raises(PushError, match=r"no answer within 0\.05 s") as caught:
        Pushgateway(url, "batch", timeout_seconds=0.05).push(body(1), TEXT)
    assert (caught.value.kind, caught.value.passing) == ("timeout", True)
    with pytest.raises(PushError, match="refused") as caught:
        Pushgateway(f"http://127.0.0.1:{free_port()}", "batch").delete()
    assert (caught.value.kind, caught.value.passing) == ("unreachable", True)
    with answering(503) as badly, pytest.raises(PushError, match=r"503 .*: no way") as caught:
        Pushgateway(badly.url, "batch").push(body(1), TEXT)
    assert (caught.value.kind, caught.value.passing) == ("http_503", True)


# The thread that pushes


def test_metrics_are_pushed_periodically(
    registry: Registry, make: Callable[..., Made], pushgateway: PushgatewayServer
) -> None:
    errors = registry.counter(SYSTEM_ERRORS).labels(error_type="a", component="b")
    errors.add()
    made = make(Pushgateway(pushgateway.url, "batch", "host"), Exposition(registry).render, interval=0.02)
    wait_until(lambda: pushgateway.samples("system_errors_total"))
    errors.add()
    wait_until(lambda: pushgateway.samples("system_errors_total")[0].value == 2)
    assert made.failures == 0


def test_a_batch_job_pushes_only_when_asked(make: Callable[..., Made], pushgateway: PushgatewayServer) -> None:
    asked: list[str | None] = []

    def render(accept: str | None) -> tuple[bytes, str]:
        asked.append(accept)
        return body(7), TEXT

    made = make(Pushgateway(pushgateway.url, "batch"), render)
    assert made.pusher.flush(PATIENCE_SECONDS)
    assert pushgateway.samples("done_total")[0].value == 7
    assert made.pusher.shutdown(PATIENCE_SECONDS)
    assert asked == [None, None]
    assert made.pusher.shutdown(PATIENCE_SECONDS)
    assert asked == [None, None]


def test_the_last_push_has_what_was_recorded_last(
    registry: Registry, make: Callable[..., Made], pushgateway: PushgatewayServer
) -> None:
    made = make(Pushgateway(pushgateway.url, "batch"), Exposition(registry).render, interval=3600)
    registry.counter(SYSTEM_ERRORS).add(5, {"error_type": "a", "component": "b"})
    assert made.pusher.shutdown(PATIENCE_SECONDS)
    assert pushgateway.samples("system_errors_total")[0].value == 5


def test_delete_removes_the_group_for_good(make: Callable[..., Made], pushgateway: PushgatewayServer) -> None:
    made = make(Pushgateway(pushgateway.url, "batch"), lambda _: (body(1), TEXT), interval=0.02)
    wait_until(pushgateway.groups)
    assert made.pusher.delete(PATIENCE_SECONDS)
    assert made.pusher.shutdown(PATIENCE_SECONDS)
    wait_until(lambda: not pushgateway.groups())


def test_delete_works_after_the_end_too(make: Callable[..., Made], pushgateway: PushgatewayServer) -> None:
    made = make(Pushgateway(pushgateway.url, "batch"), lambda _: (body(1), TEXT))
    assert made.pusher.shutdown(PATIENCE_SECONDS)
    assert made.pusher.delete(PATIENCE_SECONDS)
    wait_until(lambda: not pushgateway.groups())


def test_a_gateway_that_comes_back_gets_what_it_missed(
    make: Callable[..., Made], pushgateway: PushgatewayServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Each failure is counted; the first one and the recovery are logged."""
    with caplog.at_level(logging.INFO, "otel_monitoring"):
        pushgateway.stop()
        made = make(Pushgateway(pushgateway.url, "batch"), lambda _: (body(1), TEXT), interval=0.05)
        wait_until(lambda: made.failures > 5)
        pushgateway.start()
        wait_until(lambda: pushgateway.samples("done_total"))
        wait_until(lambda: len(caplog.records) > 1)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "refused" in caplog.records[0].message
    assert "works again" in caplog.records[1].message


def test_a_flush_is_tried_again_while_there_is_time(make: Callable[..., Made], pushgateway: PushgatewayServer) -> None:
    pushgateway.stop()
    made = make(Pushgateway(pushgateway.url, "batch"), lambda _: (body(1), TEXT))
    worked: list[bool] = []
    flush = threading.Thread(target=lambda: worked.append(made.pusher.flush(PATIENCE_SECONDS)))
    flush.start()
    wait_until(lambda: made.failures)
    pushgateway.start()
    flush.join()
    assert worked == [True]


@pytest.mark.parametrize("status", [400, 401, 404, 429, 301])
def test_a_refused_push_waits_for_the_next_one(make: Callable[..., Made], status: int) -> None:
    with answering(status, Location="/elsewhere") as badly:
        made = make(Pushgateway(badly.url, "batch"), lambda _: (body(1), TEXT))
        assert not made.pusher.flush(PATIENCE_SECONDS)
        assert not made.pusher.flush(PATIENCE_SECONDS)
        assert made.failures == len(badly.requests) == 2


def test_a_push_is_tried_again_a_bounded_number_of_times(registry: Registry) -> None:
    failures: list[None] = []
    with answering(500) as badly:
        pusher = Pusher(
            Pushgateway(badly.url, "batch"),
            lambda _: (body(1), TEXT),
            incidents=registry.incidents,
            failed=lambda: failures.append(None),
            interval_seconds=None,
            backoff=Backoff(first_seconds=0.001, attempts=4),
        )
        assert not pusher.shutdown(PATIENCE_SECONDS)
        assert len(failures) == len(badly.requests) == 4


def test_each_kind_of_failure_is_logged_once(make: Callable[..., Made], caplog: pytest.LogCaptureFixture) -> None:
    with answering(500) as badly, caplog.at_level(logging.INFO, "otel_monitoring"):
        made = make(Pushgateway(badly.url, "batch"), lambda _: (body(1), TEXT), interval=0.01)
        wait_until(lambda: made.failures > 10)
    assert len([record for record in caplog.records if "answered 500" in record.message]) == 1


def test_pauses_grow_up_to_a_bound_and_differ() -> None:
    backoff = Backoff(first_seconds=1, highest_seconds=10)
    for failures, longest in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (2000, 10)]:
        pauses = [backoff.delay_seconds(failures) for _ in range(20)]
        assert all(longest / 2 <= pause <= longest for pause in pauses)
        assert len(set(pauses)) > 1


def test_a_black_hole_delays_nobody(make: Callable[..., Made]) -> None:
    """The gateway would be waited for an hour; who asks waits as long as he said."""
    with black_hole() as url:
        made = make(Pushgateway(url, "batch", timeout_seconds=3600), lambda _: (body(1), TEXT), interval=0.01)
        assert not made.pusher.flush(0.05)
        assert not made.pusher.delete(0.05)
        assert not made.pusher.flush(0)
        assert made.pusher.shutdown(0.05)  # ended by delete


def test_a_black_hole_does_not_keep_the_end_of_the_pusher(make: Callable[..., Made]) -> None:
    with black_hole() as url:
        made = make(Pushgateway(url, "batch", timeout_seconds=3600), lambda _: (body(1), TEXT), interval=0.01)
        assert not made.pusher.shutdown(0.05)


def test_a_fault_of_the_exposition_is_contained_and_counted(pushgateway: PushgatewayServer) -> None:
    lenient, failures, broken = Registry(), list[None](), [True]

    def render(accept: str | None) -> tuple[bytes, str]:
        if broken:
            raise RuntimeError("broken")
        return body(1), TEXT

    pusher = Pusher(
        Pushgateway(pushgateway.url, "batch"),
        render,
        incidents=lenient.incidents,
        failed=lambda: failures.append(None),
        interval_seconds=None,
    )
    assert not pusher.flush(PATIENCE_SECONDS)
    assert len(failures) == 1
    broken.clear()
    assert pusher.shutdown(PATIENCE_SECONDS)


def test_no_thread_stays_behind(make: Callable[..., Made], pushgateway: PushgatewayServer) -> None:
    before = set(threading.enumerate())
    made = make(Pushgateway(pushgateway.url, "batch"), lambda _: (body(1), TEXT), interval=3600)
    started = set(threading.enumerate()) - before
    assert len(started) == 1
    made.pusher.shutdown(PATIENCE_SECONDS)
    wait_until(lambda: started.isdisjoint(threading.enumerate()))


SCRIPT = """
import atexit, os, sys
from otel_monitoring.export.pushgateway import Pusher, Pushgateway
from otel_monitoring.metrics import Registry

body = lambda: f"# TYPE done_total counter\\ndone_total {os.getpid()}\\n".encode()
pusher = Pusher(
    Pushgateway(sys.argv[1], "batch", "host", timeout_seconds=60),
    lambda accept: (body(), "text/plain; version=0.0.4"),
    incidents=Registry().incidents,
    failed=lambda: None,
    interval_seconds=float(sys.argv[2]) or None,
)
pusher.start()
atexit.register(lambda: pusher.shutdown(float(sys.argv[3])))
"""
FORK = """
import time
child = os.fork()
if child == 0:
    time.sleep(60)
print(child, flush=True)
sys.stdin.readline()
os.kill(child, 9)
os.waitpid(child, 0)
"""


@contextmanager
def running(script: str, *arguments: str) -> Generator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script, *arguments],
        env={**os.environ, "PYTHONPATH": str(Path(otel_monitoring.__file__).parents[1])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process


def test_a_batch_job_pushes_at_its_exit(pushgateway: PushgatewayServer) -> None:
    with running(SCRIPT, pushgateway.url, "0", str(PATIENCE_SECONDS)) as process:
        assert process.wait(PATIENCE_SECONDS) == 0
    assert pushgateway.samples("done_total")[0].value == process.pid


def test_a_black_hole_does_not_keep_the_process() -> None:
    with black_hole() as url, running(SCRIPT, url, "0.01", "0.1") as process:
        assert process.wait(PATIENCE_SECONDS) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_pushes_to_a_group_of_its_own(pushgateway: PushgatewayServer) -> None:
    """The parent's numbers stay the parent's."""
    with running(SCRIPT + FORK, pushgateway.url, "0.05", str(PATIENCE_SECONDS)) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        child = int(process.stdout.readline())
        wait_until(lambda: len(pushgateway.samples("done_total")) == 2)
        shown = {sample.labels["instance"]: sample.value for sample in pushgateway.samples("done_total")}
        assert shown == {"host": process.pid, f"host-{child}": child}
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.wait(PATIENCE_SECONDS) == 0
