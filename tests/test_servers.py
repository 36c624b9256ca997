"""What the tests themselves stand on: the fixtures of real servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.servers import ServerMissingError, find_program

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.servers import PrometheusServer, PushgatewayServer


def test_a_missing_program_fails_with_the_line_that_installs_it() -> None:
    with pytest.raises(ServerMissingError, match=r"apt-get install .*prometheus prometheus-alertmanager"):
        find_program("no-such-program")


def test_prometheus_scrapes_what_it_is_told_to(prometheus: PrometheusServer) -> None:
    job = prometheus.scrape(f"{prometheus.url}/metrics")
    (up,) = prometheus.wait_for(f'up{{job="{job}"}} == 1')
    assert up.labels["instance"] == prometheus.address
    assert prometheus.query("1 + 1")[0].value == 2


def test_a_restarted_pushgateway_is_empty_and_in_its_place(pushgateway: PushgatewayServer) -> None:
    before = pushgateway.url
    pushgateway.stop()
    assert pushgateway.start().url == before
    assert pushgateway.groups() == []


def test_promtool_says_what_is_wrong(promtool: Callable[[bytes | str], list[str]]) -> None:
    assert promtool("# HELP a_total A.\n# TYPE a_total counter\na_total 1\n") == []
    assert promtool("a 1\na 1\n")
