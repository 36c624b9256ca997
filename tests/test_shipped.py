"""The metrics that come with the package show what their documentation promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2
import pytest
from fastapi import FastAPI, WebSocket
from starlette.testclient import TestClient

from otel_monitoring import MonitoringService
from otel_monitoring.catalogue import Catalogue, Declaration, Kind
from otel_monitoring.catalogue.shipped import MONITORING_ERRORS_STORED, REQUEST_DURATION, SHIPPED
from otel_monitoring.metrics import Distribution
from tests.logging_state import kept_logging
from tests.platform_server import PlatformServer
from tests.servers import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from otel_monitoring.metrics import Registry

SPECIFIED = [
    ("system_errors", "{error}", "counter", "system_errors_total", ("error_type", "component")),
    ("request_duration", "s", "histogram", "request_duration_seconds", ("endpoint", "method")),
    ("processing_time", "s", "histogram", "processing_time_seconds", ("operation", "component")),
    ("rate_limit_hits", "{hit}", "counter", "rate_limit_hits_total", ("platform", "limit_type")),
    ("memory_usage", "By", "gauge", "memory_usage_bytes", ("component",)),
    ("cpu_usage", "%", "gauge", "cpu_usage_percent", ("component",)),
    ("prospect_score", "{score}", "gauge", "prospect_score", ("platform", "score_type")),
    ("engagement", "{event}", "counter", "engagement_total", ("platform", "metric_type")),
]
TOKENS = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "gen_ai_token_type")
CALLS = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "error_type")
ADDED = [
    ("operations_total", "counter", ("operation", "component", "outcome")),
    ("operations_in_progress", "up_down_counter", ("component",)),
    ("component_last_success_timestamp_seconds", "gauge", ("component",)),
    ("http_requests_total", "counter", ("endpoint", "method", "status")),
    ("websocket_connections", "up_down_counter", ("endpoint",)),
    ("websocket_messages_total", "counter", ("endpoint", "direction")),
    ("websocket_duration_seconds", "histogram", ("endpoint", "outcome")),
    ("memory_limit_bytes", "gauge", ("component",)),
    ("rate_limit_remaining", "gauge", ("platform", "limit_type")),
    ("rate_limit_quota", "gauge", ("platform", "limit_type")),
    ("rate_limit_reset_timestamp_seconds", "gauge", ("platform", "limit_type")),
    ("rate_limit_wait_seconds", "histogram", ("platform",)),
    ("api_requests_total", "counter", ("platform", "outcome")),
    ("api_request_duration_seconds", "histogram", ("platform",)),
    ("prospect_score_distribution", "histogram", ("platform", "score_type")),
    ("outreach_attempts_total", "counter", ("platform", "outcome")),
    ("conversions_total", "counter", ("platform", "conversion_type")),
    ("stream_first_item_seconds", "histogram", ("operation", "component")),
    ("stream_items_total", "counter", ("operation", "component")),
    ("gen_ai_client_token_usage", "histogram", TOKENS),
    ("gen_ai_client_operation_duration_seconds", "histogram", CALLS),
    ("monitoring_series", "gauge", ("metric",)),
    ("monitoring_overflow_total", "counter", ("metric",)),
    ("monitoring_dropped_total", "counter", ("reason",)),
    ("monitoring_overhead_seconds_total", "counter", ("activity",)),
    ("monitoring_export_failures_total", "counter", ("exporter",)),
    ("monitoring_errors_stored_total", "counter", ()),
    ("monitoring_errors_dropped_total", "counter", ("reason",)),
]


def by_prometheus_name() -> dict[str, Declaration]:
    return {declaration.prometheus_name: declaration for declaration in SHIPPED}


@pytest.mark.parametrize(("name", "unit", "kind", "shown", "labels"), SPECIFIED)
def test_the_eight_specified_metrics_have_exactly_their_names_and_labels(
    name: str, unit: str, kind: str, shown: str, labels: tuple[str, ...]
) -> None:
    declaration = by_prometheus_name()[shown]
    assert (declaration.name, declaration.unit, declaration.kind.value) == (name, unit, kind)
    assert declaration.labels == labels
    assert declaration.prometheus_labels == labels


@pytest.mark.parametrize(("shown", "kind", "labels"), ADDED)
def test_the_metrics_that_dashboards_need_have_their_names_and_labels(
    shown: str, kind: str, labels: tuple[str, ...]
) -> None:
    declaration = by_prometheus_name()[shown]
    assert declaration.kind.value == kind
    assert declaration.prometheus_labels == labels


def test_nothing_else_is_shipped() -> None:
    assert set(by_prometheus_name()) == {shown for _, _, _, shown, _ in SPECIFIED} | {shown for shown, _, _ in ADDED}


@pytest.mark.parametrize("declaration", SHIPPED, ids=lambda one: one.name)
def test_every_shipped_metric_is_described_in_a_sentence(declaration: Declaration) -> None:
    assert declaration.description[0].isupper()
    assert declaration.description.endswith(".")
    assert declaration.labels or declaration is MONITORING_ERRORS_STORED


@pytest.mark.parametrize("declaration", SHIPPED, ids=lambda one: one.name)
def test_no_unit_shows_differently_when_pushed_and_when_scraped(declaration: Declaration) -> None:
    """Unit ``1`` becomes ``_ratio`` over OTLP and nothing on the pull path."""
    assert declaration.unit not in ("", "1")


def test_the_objective_of_requests_reads_a_bound_that_is_there() -> None:
    assert 2.5 in REQUEST_DURATION.buckets[:-1]


def test_the_shipped_metrics_fit_into_one_catalogue() -> None:
    catalogue = Catalogue()
    for declaration in SHIPPED:
        catalogue.declare(declaration)
    assert tuple(catalogue) == SHIPPED


def test_every_shipped_metric_can_be_had_by_both_names(registry: Registry) -> None:
    for declaration in SHIPPED:
        instrument = registry.find(declaration.name)
        assert instrument is not None
        assert instrument.declaration is declaration
        assert registry.find(declaration.prometheus_name) is instrument


def test_scores_run_from_zero_to_one() -> None:
    distribution = by_prometheus_name()["prospect_score_distribution"]
    assert distribution.buckets == tuple(tenth / 10 for tenth in range(1, 11))


def test_tokens_and_calls_use_the_conventions_attribute_names() -> None:
    usage = by_prometheus_name()["gen_ai_client_token_usage"]
    assert usage.labels == (
        "gen_ai.operation.name",
        "gen_ai.provider.name",
        "gen_ai.request.model",
        "gen_ai.token.type",
    )
    assert usage.buckets[:3] == (1.0, 4.0, 16.0)
    assert usage.kind is Kind.HISTOGRAM


def test_every_shipped_metric_is_recorded_by_whom_it_says(tmp_path: Path) -> None:
    """One service does what each stands for, through the public door, and nothing is left without a value."""
    with (
        kept_logging(),
        PlatformServer() as platform,
        MonitoringService(
            service_name="outreach",
            platforms={"127.0.0.1": "acme"},
            prometheus_push_gateway="http://127.0.0.1:1",
            push_interval_seconds=0,
            push_timeout_seconds=0.1,
            shutdown_timeout_seconds=1,
            store_errors=str(tmp_path / "errors.db"),
            third_party=False,
        ) as monitoring,
    ):
        monitoring.instrument()
        application = FastAPI()
        monitoring.instrument(application)

        @application.get("/work")
        async def work() -> list[str]:
            return [item async for item in draft()]

        @application.websocket("/talk")
        async def talk(websocket: WebSocket) -> None:
            await websocket.accept()
            await websocket.send_text(await websocket.receive_text())
            await websocket.close()

        @monitoring.agent
        async def draft() -> AsyncIterator[str]:
            yield "Hello"
            monitoring.record_tokens("m", 8, 1, provider="anthropic", duration_seconds=0.1)

        with TestClient(application) as client:
            assert client.get("/work").json() == ["Hello"]
            with client.websocket_connect("/talk") as websocket:
                websocket.send_text("Hello")
                assert websocket.receive_text() == "Hello"
        httpx2.get(
            platform.url("/status/200", x_ratelimit_limit="9", x_ratelimit_remaining="0", x_ratelimit_reset="0.05")
        )
        monitoring.rate_limits.wait_sync("acme")
        platform_labels = {"platform": "acme"}
        monitoring.record_metric("prospect_score", 0.8, platform_labels | {"score_type": "fit"})
        monitoring.record_metric("engagement_total", 1, platform_labels | {"metric_type": "reply"})
        monitoring.record_metric("outreach_attempts_total", 1, platform_labels | {"outcome": "sent"})
        monitoring.record_metric("conversions_total", 1, platform_labels | {"conversion_type": "meeting"})
        monitoring.record_metric("no_such_metric", 1)
        few = monitoring.counter("few", labels=("of",), description="Few.", max_series=1)
        few.add(1, {"of": "a"})
        few.add(1, {"of": "b"})
        monitoring.log_error("no answer")
        assert not monitoring.push()
        monitoring.exposition()
        wait_until(lambda: "monitoring_errors_stored_total" in recorded(monitoring))
        # What is lost of errors takes a full disk: tests/test_error_store.py has that.
        assert set(by_prometheus_name()) - recorded(monitoring) == {"monitoring_errors_dropped_total"}


def recorded(monitoring: MonitoringService) -> set[str]:
    """Return the metrics that hold more than zeros; of gauges and what is in progress, those that are there."""
    return {
        point.metric.prometheus_name
        for point in monitoring.registry.snapshot().points()
        if (point.value.count if isinstance(point.value, Distribution) else point.value)
        or point.metric.kind in {Kind.GAUGE, Kind.UP_DOWN_COUNTER}
    }
