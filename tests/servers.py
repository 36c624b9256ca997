"""The real servers that the tests talk to, each on a free port of 127.0.0.1."""

from __future__ import annotations

import http.client
import itertools
import json
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Self, TypeVar
from urllib.parse import urlencode, urlsplit

from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

T = TypeVar("T")

PATIENCE_SECONDS = 90.0
"""How long to wait for what should come soon: only a failure takes so long."""

APT_LINE = (
    "apt-get install -y --no-install-recommends postgresql prometheus prometheus-alertmanager prometheus-pushgateway"
)


class ServerMissingError(Exception):
    """A program that the tests start is not installed."""


class Reply(NamedTuple):
    """An HTTP response; the headers' names are in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes


class Sample(NamedTuple):
    """One series' value."""

    labels: dict[str, str]
    value: float


def find_program(name: str) -> str:
    """Return where a program is.

    Raises:
        ServerMissingError: it is nowhere.
    """
    found = shutil.which(name)
    if found is None:
        raise ServerMissingError(f"the program {name!r} is not installed; the tests need it:  {APT_LINE}")
    return found


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


def wait_until(look: Callable[[], T], seconds: float = PATIENCE_SECONDS) -> T:
    """Return what a function gives, as soon as it gives something true; fail after so many seconds."""
    until = time.monotonic() + seconds
    while not (seen := look()):
        assert time.monotonic() < until, f"after {seconds} s there is still only {seen!r}"
        time.sleep(0.02)
    return seen


def ask(url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes | None = None) -> Reply:
    """Send one HTTP request, following nothing and raising for no status."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE_SECONDS)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        received = {name.lower(): value for name, value in response.getheaders()}
        return Reply(response.status, received, response.read())
    finally:
        connection.close()


@dataclass
class Program:
    """A server program: started, asked whether it is ready, stopped.

    Args:
        directory: where it keeps its data and its log.
        port: where it listens; the same one after a restart.
    """

    directory: Path
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        """Return the command line."""
        raise NotImplementedError

    def start(self) -> Self:
        """Start it, and return when it is ready."""
        if self._process is None:
            command = self.command()
            with (self.directory / "log").open("ab") as log:
                self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.directory)
            wait_until(self._is_ready)
        return self

    def stop(self) -> None:
        """Stop it, and return when it is gone; nothing happens where it is gone already."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.directory / "log").read_text()[-2000:]
        try:
            return ask(f"{self.url}/-/ready").status == 200
        except OSError:
            return False


@dataclass
class PrometheusServer(Program):
    """A Prometheus with data of its own, which scrapes what it is told to."""

    _jobs: list[dict[str, object]] = field(default_factory=list, init=False, repr=False)
    _evaluates: bool = field(default=False, init=False, repr=False)
    _alertmanager: str | None = field(default=None, init=False, repr=False)
    _numbers: itertools.count[int] = field(default_factory=itertools.count, init=False, repr=False)

    def command(self) -> list[str]:
        """Return the command line; what is in memory is lost with it, nothing is kept on disk for long."""
        self._write_config()
        return [
            find_program("prometheus"),
            f"--config.file={self.directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.directory / 'data'}",
            f"--web.listen-address={self.address}",
            "--web.enable-lifecycle",
            "--rules.alert.resend-delay=1s",  # what fires before the Alertmanager is found is told soon again
            "--log.level=warn",
        ]

    def scrape(self, *urls: str, interval: str = "200ms", rules: Path | None = None, **settings: object) -> str:
        """Scrape these URLs from now on, as a job of its own.

        Args:
            urls: with path, such as ``http://127.0.0.1:9464/metrics``.
            interval: from one scrape to the next.
            rules: a file of rules to be loaded, too.
            settings: further settings of the job, as in Prometheus's ``scrape_config``.

        Returns:
            The job's name, for ``{job="…"}``.
        """
        job = f"job{next(self._numbers)}"
        parts = [urlsplit(url) for url in urls]
        config = {
            "job_name": job,
            "metrics_path": parts[0].path or "/metrics",
            "scrape_interval": interval,
            "scrape_timeout": interval,
            "static_configs": [{"targets": [part.netloc for part in parts]}],
            **settings,
        }
        self._jobs.append(config)
        self._reload(rules)
        return job

    def load(self, rules: Path, *, alertmanager: str | None = None) -> None:
        """Evaluate a file of rules from now on, beside what is scraped.

        Args:
            rules: the file.
            alertmanager: host and port of the Alertmanager that is told of alerts.
        """
        self._evaluates = True
        self._alertmanager = alertmanager
        self._reload(rules)

    def forget(self) -> None:
        """Scrape and evaluate nothing any more; what was scraped stays, under its job's name."""
        if self._jobs or self._evaluates:
            self._jobs.clear()
            self._evaluates = False
            self._alertmanager = None
            self._reload(None)

    def api(self, path: str, **parameters: str) -> object:
        """Return the data of an answer of the HTTP API, such as ``api("query", query="up")``."""
        reply = ask(f"{self.url}/api/v1/{path}?{urlencode(parameters)}")
        answer = json.loads(reply.body)
        assert answer["status"] == "success", answer
        data: object = answer["data"]
        return data

    def query(self, promql: str) -> list[Sample]:
        """Return what a query gives now; a scalar has no labels."""
        data = self.api("query", query=promql)
        assert isinstance(data, dict)
        if data["resultType"] == "scalar":
            return [Sample({}, float(data["result"][1]))]
        assert data["resultType"] == "vector", data
        return [Sample(entry["metric"], float(entry["value"][1])) for entry in data["result"]]

    def wait_for(
        self,
        promql: str,
        condition: Callable[[list[Sample]], object] = bool,
        seconds: float = PATIENCE_SECONDS,
    ) -> list[Sample]:
        """Return what a query gives as soon as it is as wanted: that there is anything, unless told otherwise."""
        seen: list[list[Sample]] = []

        def look() -> bool:
            seen[:] = [self.query(promql)]
            return bool(condition(seen[0]))

        try:
            wait_until(look, seconds)
        except AssertionError:
            targets = json.dumps(self.api("targets", state="active"), indent=1)
            raise AssertionError(f"{promql} gives {seen} after {seconds} s; targets: {targets}") from None
        return seen[0]

    def _write_config(self, rules: Path | None = None) -> None:
        config: dict[str, object] = {"scrape_configs": self._jobs, "rule_files": [str(rules)] if rules else []}
        if self._alertmanager:
            told = [{"static_configs": [{"targets": [self._alertmanager]}]}]
            config["alerting"] = {"alertmanagers": told}
        (self.directory / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML

    def _reload(self, rules: Path | None) -> None:
        self._write_config(rules)
        reply = ask(f"{self.url}/-/reload", method="POST")
        assert reply.status == 200, reply.body


class AlertmanagerServer(Program):
    """An Alertmanager that takes alerts and sends them nowhere."""

    def command(self) -> list[str]:
        """Return the command line."""
        config = {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}
        (self.directory / "alertmanager.yml").write_text(json.dumps(config))  # JSON is YAML
        return [
            find_program("prometheus-alertmanager"),
            f"--config.file={self.directory / 'alertmanager.yml'}",
            f"--storage.path={self.directory / 'data'}",
            f"--web.listen-address={self.address}",
            "--cluster.listen-address=",
            "--log.level=warn",
        ]

    def alerts(self) -> list[dict[str, dict[str, str]]]:
        """Return the alerts that it holds, with their labels and annotations."""
        alerts: list[dict[str, dict[str, str]]] = json.loads(ask(f"{self.url}/api/v2/alerts").body)
        return alerts


class PushgatewayServer(Program):
    """A Pushgateway that keeps what is pushed in memory."""

    def command(self) -> list[str]:
        """Return the command line."""
        return [
            find_program("prometheus-pushgateway"),
            f"--web.listen-address={self.address}",
            "--web.enable-admin-api",
            "--persistence.file=",
            "--log.level=warn",
        ]

    def wipe(self) -> None:
        """Remove all groups."""
        assert ask(f"{self.url}/api/v1/admin/wipe", method="PUT").status == 202

    def groups(self) -> list[dict[str, str]]:
        """Return the grouping labels of all groups."""
        groups = json.loads(ask(f"{self.url}/api/v1/metrics").body)["data"]
        return [group["labels"] for group in groups]

    def samples(self, name: str) -> list[Sample]:
        """Return the series of one name that the gateway shows."""
        families = text_string_to_metric_families(ask(f"{self.url}/metrics").body.decode())
        return [
            Sample(dict(sample.labels), sample.value)
            for family in families
            for sample in family.samples
            if sample.name == name
        ]


def check_metrics(text: bytes | str) -> list[str]:
    """Return what ``promtool check metrics`` finds wrong with text 0.0.4: nothing where all is well."""
    given = text.encode() if isinstance(text, str) else text
    done = subprocess.run(
        [find_program("promtool"), "check", "metrics"],
        input=given,
        capture_output=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    complaints = (done.stdout + done.stderr).decode().splitlines()
    assert done.returncode == 0 or complaints
    return complaints
