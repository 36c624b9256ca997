"""The stand-alone server, asked over real sockets."""

from __future__ import annotations

import gzip
import logging
import os
import socket
import subprocess
import sys
import threading
from base64 import b64encode
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import otel_monitoring
from otel_monitoring.catalogue.shipped import SYSTEM_ERRORS
from otel_monitoring.exceptions import ServerError
from otel_monitoring.export.access import Access
from otel_monitoring.export.server import MetricsServer
from otel_monitoring.export.text import Exposition
from tests.servers import PATIENCE_SECONDS, ask, free_port, wait_until

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from otel_monitoring.metrics import Registry
    from tests.servers import PrometheusServer

BODY = b"jobs_total 1\n" * 200


def render(accept: str | None) -> tuple[bytes, str]:
    return BODY, f"text/plain; for={accept}"


@pytest.fixture
def server() -> Iterator[MetricsServer]:
    with MetricsServer(render, port=0) as server:
        yield server


def base(server: MetricsServer) -> str:
    """Return the server's URL without a path."""
    return server.url.removesuffix("/metrics")


def talk(port: int, sent: bytes) -> bytes:
    """Send bytes as they are, and return all that comes back."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as connection:
        connection.sendall(sent)
        return b"".join(iter(lambda: connection.recv(65536), b""))


@contextmanager
def silent_clients(port: int, number: int) -> Generator[list[socket.socket]]:
    """Connect so many clients that send nothing."""
    clients = [socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) for _ in range(number)]
    try:
        yield clients
    finally:
        for client in clients:
            client.close()


def test_it_serves_the_exposition(server: MetricsServer) -> None:
    reply = ask(f"{server.url}?name=x", headers={"Accept": "text/plain"})
    assert (reply.status, reply.body) == (200, BODY)
    assert reply.headers["content-type"] == "text/plain; for=text/plain"
    assert reply.headers["content-length"] == str(len(BODY))
    assert reply.headers["vary"] == "Accept, Accept-Encoding"
    assert reply.headers["cache-control"] == "no-store"


def test_gzip_is_used_where_it_is_taken(server: MetricsServer) -> None:
    assert gzip.decompress(ask(server.url, headers={"Accept-Encoding": "gzip"}).body) == BODY


def test_the_page_at_the_root_links_to_the_metrics(server: MetricsServer) -> None:
    reply = ask(base(server))
    assert reply.status == 200
    assert b'href="/metrics"' in reply.body


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("HEAD", "/metrics", 200),
        ("HEAD", "/", 200),
        ("GET", "/-/healthy", 200),
        ("HEAD", "/-/healthy", 200),
        ("GET", "/elsewhere", 404),
        ("GET", "/metrics/", 404),
        ("POST", "/metrics", 405),
        ("DELETE", "/", 405),
        ("PUT", "/-/healthy", 405),
        ("BREW", "/metrics", 501),
    ],
)
def test_each_path_and_method_has_its_status(server: MetricsServer, method: str, path: str, status: int) -> None:
    reply = ask(base(server) + path, method=method)
    assert reply.status == status
    assert ("allow" in reply.headers) == (status == 405)
    assert method != "HEAD" or reply.body == b""


@pytest.mark.parametrize("sent", [b"\r\n\r\n", b"GET\r\n\r\n", b"GET //[ HTTP/1.1\r\n\r\n", b"\x00\xff\r\n\r\n"])
def test_nonsense_is_answered_and_does_no_harm(
    server: MetricsServer, sent: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    talk(server.port, sent)
    assert ask(server.url).status == 200
    assert capfd.readouterr().err == ""


def test_nothing_is_written_about_requests(server: MetricsServer, capfd: pytest.CaptureFixture[str]) -> None:
    ask(server.url)
    ask(f"{base(server)}/elsewhere")
    assert capfd.readouterr() == ("", "")


def test_who_may_not_read_is_refused() -> None:
    access = Access(username="ada", password="geheim", bearer_token="token")
    with MetricsServer(render, port=0, access=access) as server:
        assert ask(server.url).status == 401
        assert ask(base(server)).status == 401
        assert ask(f"{base(server)}/-/healthy").status == 200
        assert ask(server.url, headers={"Authorization": "Bearer token"}).status == 200
        credentials = b64encode(b"ada:geheim").decode()
        assert ask(server.url, headers={"Authorization": f"Basic {credentials}"}).status == 200


def test_strangers_are_refused() -> None:
    with MetricsServer(render, port=0, access=Access(networks=("10.0.0.0/8",))) as server:
        assert ask(server.url).status == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "0.0.0.0", "::", ""])
def test_it_listens_where_it_is_told_to(host: str) -> None:
    with MetricsServer(render, host, 0) as server:
        assert ask(server.url).status == 200


def test_all_addresses_are_those_of_ipv4_too() -> None:
    with MetricsServer(render, "::", 0, access=Access(networks=("127.0.0.0/8",))) as server:
        assert ask(f"http://127.0.0.1:{server.port}/metrics").status == 200
        assert ask(server.url).status == 403


def test_it_is_reached_from_this_machine_only_unless_told() -> None:
    assert MetricsServer(render).url == "http://127.0.0.1:9464/metrics"


def test_a_port_in_use_is_named_with_what_to_do(server: MetricsServer) -> None:
    with pytest.raises(ServerError, match=f"port {server.port} of '127.0.0.1'.*choose another port"):
        MetricsServer(render, port=server.port).start()
    assert ask(server.url).status == 200


@pytest.mark.parametrize(
    ("host", "port", "said"),
    [
        ("192.0.2.1", 0, "no such address"),
        ("no.such.host.invalid", 0, "check the host and the port"),
        ("127.0.0.1", 70000, "check the host and the port"),
        ("\udcff", 0, "check the host and the port"),
    ],
)
def test_an_address_that_is_none_is_refused(host: str, port: int, said: str) -> None:
    with pytest.raises(ServerError, match=said):
        MetricsServer(render, host, port).start()


def test_starting_and_stopping_twice_does_no_harm() -> None:
    server = MetricsServer(render, port=0)
    server.stop()
    assert not server.running
    assert server.start().start() is server
    port = server.port
    server.stop()
    server.stop()
    with pytest.raises(ConnectionError):
        ask(f"http://127.0.0.1:{port}/metrics")


def test_a_stopped_server_starts_again_on_the_same_port() -> None:
    server = MetricsServer(render, port=free_port())
    for _ in range(3):
        with server:
            assert ask(server.url).status == 200


def test_no_thread_stays_behind() -> None:
    before = set(threading.enumerate())
    with MetricsServer(render, port=0) as server:
        ask(server.url)
        started = set(threading.enumerate()) - before
    assert started
    wait_until(lambda: started.isdisjoint(threading.enumerate()))


def test_an_answer_under_way_is_finished_when_the_server_stops() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def waiting(accept: str | None) -> tuple[bytes, str]:
        begun.set()
        assert go_on.wait(PATIENCE_SECONDS)
        return BODY, "text/plain"

    server = MetricsServer(waiting, port=0).start()
    bodies: list[bytes] = []
    client = threading.Thread(target=lambda url=server.url: bodies.append(ask(url).body))
    client.start()
    assert begun.wait(PATIENCE_SECONDS)
    stopping = threading.Thread(target=server.stop, args=(PATIENCE_SECONDS,))
    stopping.start()
    go_on.set()
    stopping.join()
    client.join()
    assert bodies == [BODY]


def test_who_holds_a_connection_and_asks_nothing_does_not_hold_the_end() -> None:
    server = MetricsServer(render, port=0).start()
    with silent_clients(server.port, 1) as (client,):
        assert ask(server.url).status == 200
        server.stop(timeout=10 * PATIENCE_SECONDS)
        assert client.recv(1) == b""


def test_an_answer_that_is_not_read_does_not_hold_the_end() -> None:
    begun = threading.Event()

    def large(accept: str | None) -> tuple[bytes, str]:
        begun.set()
        return b"x" * 50_000_000, "text/plain"

    server = MetricsServer(large, port=0).start()
    with silent_clients(server.port, 1) as (client,):
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert begun.wait(PATIENCE_SECONDS)
        server.stop(timeout=0.05)
        while client.recv(1_000_000):
            pass


def test_a_slow_client_is_cut_off() -> None:
    with MetricsServer(render, port=0, timeout_seconds=0.05) as server, silent_clients(server.port, 2) as clients:
        clients[0].sendall(b"GET /metrics HTTP/1.1\r\nX-Slow: ")
        assert [client.recv(1) for client in clients] == [b"", b""]


def test_a_client_that_does_not_read_is_cut_off() -> None:
    def large(accept: str | None) -> tuple[bytes, str]:
        return b"x" * 50_000_000, "text/plain"

    with (
        MetricsServer(large, port=0, timeout_seconds=0.2, connections=1) as server,
        silent_clients(server.port, 1) as (client,),
    ):
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        wait_until(lambda: ask(f"{base(server)}/-/healthy").status == 200)


def test_connections_are_bounded_and_taken_again_when_one_is_free() -> None:
    with MetricsServer(render, port=0, connections=2) as server:
        with silent_clients(server.port, 2):
            wait_until(lambda: ask(server.url).status == 503)
            assert ask(server.url).headers["retry-after"] == "1"
        wait_until(lambda: ask(server.url).status == 200)


def test_a_client_that_goes_away_leaves_no_trace(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    gone = threading.Event()

    def slow(accept: str | None) -> tuple[bytes, str]:
        assert gone.wait(PATIENCE_SECONDS)
        return b"x" * 5_000_000, "text/plain"

    with MetricsServer(slow, port=0) as server:
        with closing(socket.create_connection(("127.0.0.1", server.port))) as client:
            # Unread bytes and no lingering: the server's next write meets a reset.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        gone.set()
        assert ask(f"{base(server)}/-/healthy").status == 200
    assert capfd.readouterr().err == ""
    assert caplog.records == []


def test_a_fault_of_the_exposition_is_a_500_and_one_line_of_log(caplog: pytest.LogCaptureFixture) -> None:
    def broken(accept: str | None) -> tuple[bytes, str]:
        raise RuntimeError("broken")

    with caplog.at_level(logging.WARNING), MetricsServer(broken, port=0) as server:
        assert [ask(server.url).status for _ in range(3)] == [500, 500, 500]
    (record,) = caplog.records
    assert "the application is not affected" in record.message
    assert record.exc_info


def test_many_scrapes_at_once_are_all_answered(server: MetricsServer) -> None:
    replies: list[int] = []
    clients = [threading.Thread(target=lambda: replies.append(ask(server.url).status)) for _ in range(20)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert replies == [200] * 20


def test_prometheus_reads_it_with_its_credentials(registry: Registry, prometheus: PrometheusServer) -> None:
    registry.counter(SYSTEM_ERRORS).add(4, {"error_type": "a", "component": "b"})
    access = Access(username="ada", password="geheim")
    with MetricsServer(Exposition(registry).render, port=0, access=access) as server:
        job = prometheus.scrape(server.url, basic_auth={"username": "ada", "password": "geheim"})
        (sample,) = prometheus.wait_for(f'system_errors_total{{job="{job}"}}')
    assert sample.value == 4


FORK = """
import os, sys, urllib.request
from otel_monitoring.export.server import MetricsServer

server = MetricsServer(lambda accept: (b"from %d" % os.getpid(), "text/plain"), port=0).start()
url, parent = server.url, os.getpid()
held = __import__("socket").create_connection(("127.0.0.1", server.port))
urllib.request.urlopen(url).read()
reading, writing = os.pipe()
go, gone = os.pipe()
child = os.fork()
if child == 0:
    os.close(gone)
    port = int(url.split(":")[2].split("/")[0])
    server.stop()
    os.write(writing, b"running" if server.running else b"silent")
    os.read(go, 1)
    again = MetricsServer(lambda accept: (b"child's", "text/plain"), port=port).start()
    os.write(writing, urllib.request.urlopen(again.url).read())
    os._exit(0)
os.close(go)
print(os.read(reading, 100).decode())
print(urllib.request.urlopen(url).read().decode() == f"from {parent}")
server.stop()
os.close(gone)
print(os.read(reading, 100).decode())
os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_does_not_serve_and_does_not_hold_the_port() -> None:
    """The parent goes on serving, and its port is free for the child when the parent has stopped."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK],
        env={**os.environ, "PYTHONPATH": str(Path(otel_monitoring.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["silent", "True", "child's"]
