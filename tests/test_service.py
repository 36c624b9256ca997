"""The service as an application uses it: the specification's examples, and what joins the rooms."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import textwrap
import warnings
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest
import structlog
from flask import Flask
from opentelemetry import metrics as otel
from prometheus_client.parser import text_string_to_metric_families

from otel_monitoring import (
    ConfigurationError,
    Counter,
    DeclarationError,
    MeasurementError,
    MonitoringService,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from otel_monitoring.metrics import Distribution

QUIET: dict[str, Any] = {"third_party": False, "resources": False, "service_name": "outreach"}
"""Settings under which a service touches nothing that other tests share."""


pytestmark = pytest.mark.usefixtures("kept")


@pytest.fixture
def monitoring() -> Iterator[MonitoringService]:
    with MonitoringService(**QUIET, strict=True) as service:
        yield service


def values(service: MonitoringService) -> dict[tuple[str, tuple[str, ...]], float | Distribution]:
    """Return what every series holds, by Prometheus name and label values in the declared order."""
    return {
        (point.metric.prometheus_name, tuple(point.labels.values())): point.value
        for point in service.registry.snapshot().points()
    }


def run(program: str, **environment: str) -> str:
    """Run a program in a fresh interpreter and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": ":".join(sys.path), **environment},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_configuration_of_the_specification_is_accepted() -> None:
    """The dictionary of the specification makes a service, and nothing is talked to."""
    config = {
        "grafana_url": "http://grafana:3000",
        "grafana_api_key": "your-api-key",
        "grafana_username": "admin",
        "grafana_password": "password",
        "prometheus_push_gateway": "http://127.0.0.1:9",
        "store_errors": True,
    }
    service = MonitoringService(config, **QUIET, shutdown_timeout_seconds=0.2)
    assert service.settings.grafana_url == "http://grafana:3000"
    service.shutdown()


def test_the_examples_of_the_specification_record_what_they_say(monitoring: MonitoringService) -> None:
    """Error logging, metrics recording and rate-limit tracking work as the specification writes them."""
    monitoring.log_error(
        error_message="Failed to process prospect",
        error_type="processing_error",
        component="prospect_processor",
        context={"prospect_id": "123"},
    )
    monitoring.record_metric(
        metric_name="prospect_score", value=0.85, labels={"platform": "linkedin", "score_type": "engagement"}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        reset_time = datetime.utcnow() + timedelta(minutes=15)  # noqa: DTZ003 (the specification's own)
    monitoring.record_rate_limit(platform="linkedin", limit_type="api", remaining=95, reset_time=reset_time)

    found = values(monitoring)
    assert found["system_errors_total", ("processing_error", "prospect_processor")] == 1
    assert found["prospect_score", ("linkedin", "engagement")] == 0.85
    assert found["rate_limit_remaining", ("linkedin", "api")] == 95
    assert found["rate_limit_hits_total", ("linkedin", "api")] == 0
    resets = found["rate_limit_reset_timestamp_seconds", ("linkedin", "api")]
    assert isinstance(resets, float)
    assert abs(resets - (datetime.now(UTC) + timedelta(minutes=15)).timestamp()) < 5


def test_a_score_goes_into_its_distribution_too(monitoring: MonitoringService) -> None:
    """The gauge keeps the last score, the distribution every one."""
    labels = {"platform": "linkedin", "score_type": "engagement"}
    for score in (0.2, 0.85, 0.4):
        monitoring.record_metric("prospect_score", score, labels)
    found = values(monitoring)
    assert found["prospect_score", ("linkedin", "engagement")] == 0.4
    distribution: Any = found["prospect_score_distribution", ("linkedin", "engagement")]
    assert distribution.count == 3
    assert distribution.sum == pytest.approx(1.45)


@pytest.mark.parametrize("name", ["engagement", "engagement_total"])
def test_a_metric_goes_by_either_name(monitoring: MonitoringService, name: str) -> None:
    """record_metric takes the OpenTelemetry name and the Prometheus name."""
    monitoring.record_metric(name, 2, {"platform": "linkedin", "metric_type": "reply"})
    assert values(monitoring)["engagement_total", ("linkedin", "reply")] == 2


def test_record_metric_serves_every_kind(monitoring: MonitoringService) -> None:
    """Counters and up-down counters are added to, gauges set, histograms recorded in."""
    monitoring.up_down_counter("waiting")
    monitoring.record_metric("waiting", 3)
    monitoring.record_metric("waiting", -1)
    monitoring.record_metric("memory_usage_bytes", 5, {"component": "a"})
    monitoring.record_metric("rate_limit_wait_seconds", 0.2, {"platform": "linkedin"})
    found = values(monitoring)
    assert found["waiting", ()] == 2
    assert found["memory_usage_bytes", ("a",)] == 5
    wait: Any = found["rate_limit_wait_seconds", ("linkedin",)]
    assert wait.count == 1


def test_an_unknown_metric_is_named_with_its_nearest(caplog: pytest.LogCaptureFixture) -> None:
    """Strict raises and names the nearest metric; otherwise it is counted, and logged once."""
    with MonitoringService(**QUIET, strict=True) as strict, pytest.raises(MeasurementError, match="'engagement_total'"):
        strict.record_metric("engagment_total", 1, {})
    with MonitoringService(**QUIET) as service, caplog.at_level(logging.WARNING, "otel_monitoring"):
        service.record_metric("engagment_total", 1, {})
        service.record_metric("engagment_total", 1, {})
        assert values(service)["monitoring_dropped_total", ("unknown_metric",)] == 2
    assert [record.getMessage().count("engagement_total") for record in caplog.records] == [1]


def test_metrics_are_declared_in_one_line(monitoring: MonitoringService) -> None:
    """The same declaration gives the same instrument, a different one is refused."""
    jobs = monitoring.counter("jobs", unit="{job}", labels=("queue",), description="Jobs finished.")
    assert jobs is monitoring.counter("jobs", unit="{job}", labels=("queue",), description="Jobs finished.")
    assert isinstance(jobs, Counter)
    with pytest.raises(DeclarationError, match="labels was"):
        monitoring.counter("jobs", unit="{job}", labels=("queue", "outcome"), description="Jobs finished.")
    monitoring.histogram("job_wait", unit="s", labels=("queue",), buckets=(0.1, 1, 10)).labels(queue="a").record(0.5)
    monitoring.gauge("temperature", unit="Cel", expire_after_seconds=60).set(21)
    assert values(monitoring)["temperature_celsius", ()] == 21


def test_a_metric_has_a_budget_of_its_own() -> None:
    """max_series of a declaration wins over the service's, beyond it one series overflows."""
    with MonitoringService(**QUIET, max_series=5) as service:
        small = service.counter("small", labels=("id",), max_series=2)
        large = service.counter("large", labels=("id",))
        for number in range(10):
            small.add(1, {"id": str(number)})
            large.add(1, {"id": str(number)})
        found = values(service)
        assert found["small_total", ("true",)] == 8
        assert found["large_total", ("true",)] == 5
        assert found["monitoring_overflow_total", ("small_total",)] == 8


def test_every_problem_of_the_settings_is_in_one_error() -> None:
    """Unknown and wrong settings are all named at once, with the nearest right ones."""
    with pytest.raises(ConfigurationError) as caught:
        MonitoringService({"grafana_ulr": "http://grafana:3000", "prometheus_port": -1}, max_serie=5)
    assert len(caught.value.problems) == 3
    assert "'grafana_url'" in str(caught.value)
    assert "'max_series'" in str(caught.value)


def test_an_error_counts_once_whichever_way_it_comes(monitoring: MonitoringService) -> None:
    """structlog, the standard library's logging, log_error and a decorator have one count."""
    monitoring.configure_logging("json", stream=StringIO())

    @monitoring.operation("send", component="sender")
    def send() -> None:
        raise ConnectionError("refused")

    try:
        send()
    except ConnectionError as error:
        structlog.get_logger().exception("send failed", component="sender")
        logging.getLogger("app").exception("send failed", extra={"component": "sender"})
        monitoring.log_error("send failed", component="sender", exception=error)
    structlog.get_logger().error("no profile", component="scorer", error_type="lookup")
    logging.getLogger("app").error("no profile", extra={"component": "scorer", "error_type": "lookup"})
    monitoring.log_error("no profile", component="scorer", error_type="lookup")

    found = values(monitoring)
    assert found["system_errors_total", ("ConnectionError", "sender")] == 1
    assert found["system_errors_total", ("lookup", "scorer")] == 3


def test_operations_agents_and_tools_are_decorated_without_parentheses_too(monitoring: MonitoringService) -> None:
    """Each takes the name of its function, and the service is its component."""

    @monitoring.agent
    def finder() -> int:
        return search() + 1

    @monitoring.tool
    def search() -> int:
        return tidy(20)

    @monitoring.operation
    def tidy(number: int) -> int:
        return number

    assert finder() == 21
    found = values(monitoring)
    assert [found["operations_total", (name, "outreach", "success")] for name in ("finder", "search", "tidy")] == [
        1
    ] * 3


def test_structlog_errors_count_without_any_configuration(
    monitoring: MonitoringService, capsys: pytest.CaptureFixture[str]
) -> None:
    """An application that only uses structlog has its errors counted and its log lines as before."""
    structlog.get_logger().error("no profile", component="scorer", error_type="lookup")
    assert values(monitoring)["system_errors_total", ("lookup", "scorer")] == 1
    assert "no profile" in capsys.readouterr().out


def test_the_exposition_is_what_a_parser_reads_back(monitoring: MonitoringService) -> None:
    """Text is the default, OpenMetrics comes for the asking, and the service counts its own effort."""
    monitoring.record_metric("engagement", 2, {"platform": 'a "b"\n', "metric_type": "reply"})
    body, content_type = monitoring.exposition()
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in text_string_to_metric_families(body.decode())}
    assert families["engagement"].samples[0].labels == {"platform": 'a "b"\n', "metric_type": "reply"}
    body, content_type = monitoring.exposition("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")
    spent = values(monitoring)["monitoring_overhead_seconds_total", ("scrape",)]
    assert isinstance(spent, float)
    assert spent > 0


def test_it_serves_on_loopback_and_stops_at_shutdown() -> None:
    """serve() gives a server that answers, the same one again, and shutdown closes it."""
    service = MonitoringService(**QUIET)
    server = service.serve(port=0)
    assert server is service.serve()
    assert server.url.startswith("http://127.0.0.1:")
    service.record_metric("engagement", 2, {"platform": "linkedin", "metric_type": "reply"})
    with urlopen(server.url, timeout=5) as answer:
        assert b'engagement_total{platform="linkedin",metric_type="reply"} 2.0' in answer.read()
    service.shutdown()
    assert not server.running
    service.shutdown()


def test_pushing_without_a_gateway_says_which_setting_is_missing(monitoring: MonitoringService) -> None:
    """push() and delete_pushed() name the setting."""
    with pytest.raises(ConfigurationError, match="prometheus_push_gateway"):
        monitoring.push()
    with pytest.raises(ConfigurationError, match="prometheus_push_gateway"):
        monitoring.delete_pushed()


def test_instrument_refuses_what_is_no_application(monitoring: MonitoringService) -> None:
    """What it is not, and what it could have been."""
    with pytest.raises(TypeError, match="ASGI"):
        monitoring.instrument(lambda environ: environ)


def test_instrument_takes_flask_and_shows_the_metrics_there() -> None:
    """One line: requests by rule, the error that Flask makes a 500 of, the metrics of all of it."""
    with MonitoringService(**QUIET) as service:
        app = Flask(__name__)
        assert service.instrument(app, metrics_path="/metrics", excluded=["/health"]) is app

        @app.get("/users/<int:user_id>")
        def user(user_id: int) -> str:
            return {1: "one"}[user_id]

        @app.get("/health")
        def health() -> str:
            return "well"

        client = app.test_client()
        for path in ("/users/1", "/users/2", "/health"):
            client.get(path)
        reply = client.get("/metrics")
        assert reply.content_type.startswith("text/plain; version=0.0.4")
        text = reply.text
    requests = [line for line in text.splitlines() if line.startswith(("http_requests_total", "system_errors_total"))]
    assert requests == [
        'system_errors_total{error_type="KeyError",component="outreach"} 1.0',
        'http_requests_total{endpoint="/users/<int:user_id>",method="GET",status="2xx"} 1.0',
        'http_requests_total{endpoint="/users/<int:user_id>",method="GET",status="5xx"} 1.0',
    ]


def test_errors_and_log_lines_of_a_request_carry_its_ids() -> None:
    """What is logged by structlog and by logging, and what is reported, is found by the id that a client was told."""
    lines, heard = StringIO(), list[Any]()
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    with MonitoringService(**QUIET, request_id_header="X-Correlation-ID") as service:
        service.configure_logging("json", stream=lines)
        service.hear_errors(heard.append)
        app = Flask(__name__)
        service.instrument(app)

        @app.get("/broken")
        def broken() -> str:
            structlog.get_logger().info("by structlog")
            logging.getLogger("somewhere").info("by logging")
            raise KeyError("broken")

        headers = {"X-Correlation-ID": "abc", "traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
        assert app.test_client().get("/broken", headers=headers).status_code == 500
        structlog.get_logger().info("afterwards")
    logged = [json.loads(line) for line in lines.getvalue().splitlines()]
    ids = [(line["event"], line.get("request_id"), line.get("trace_id")) for line in logged]
    assert ids == [
        ("by structlog", "abc", trace_id),
        ("by logging", "abc", trace_id),
        ("Exception on /broken [GET]", "abc", trace_id),
        ("afterwards", None, None),
    ]
    (error,) = heard
    expected = {"endpoint": "/broken", "method": "GET", "request_id": "abc", "trace_id": trace_id}
    assert dict(error.context) == expected


def test_the_meter_gives_ours_for_the_catalogue_and_the_stock_sdks_for_the_rest(
    monitoring: MonitoringService,
) -> None:
    """Code that is handed a meter gets our instruments under their names."""
    meter = monitoring.meter
    assert isinstance(meter, otel.Meter)
    counter = meter.create_counter("engagement")
    counter.add(3, {"platform": "linkedin", "metric_type": "reply"})
    assert values(monitoring)["engagement_total", ("linkedin", "reply")] == 3
    assert not isinstance(meter.create_counter("somebody.elses"), Counter)
    assert isinstance(meter.create_histogram("request_duration"), otel.Histogram)
    assert isinstance(meter.create_up_down_counter("operations_in_progress"), otel.UpDownCounter)
    assert type(meter.create_gauge("memory_usage")).__module__.startswith("otel_monitoring")


def test_disabled_installs_and_serves_nothing() -> None:
    """With disabled nothing is installed: applications stay as they are, structlog too."""
    before = list(structlog.get_config()["processors"])
    with MonitoringService(disabled=True) as service:
        application = object()
        assert service.instrument(application) is application
        assert structlog.get_config()["processors"] == before
        service.counter("jobs").add(1)


def test_shutdown_puts_logging_back_as_it_was() -> None:
    """What the service has put into structlog's chain is taken out again."""
    before = list(structlog.get_config()["processors"])
    service = MonitoringService(**QUIET)
    assert structlog.get_config()["processors"] != before
    service.shutdown()
    assert structlog.get_config()["processors"] == before


def test_it_works_with_no_configuration_and_shows_other_libraries_instruments() -> None:
    """A bare service in a fresh process shows resources, its own metrics and third-party ones."""
    printed = run(
        """
        from opentelemetry import metrics
        early = metrics.get_meter("some.library").create_counter("early")
        from otel_monitoring import MonitoringService
        monitoring = MonitoringService()
        monitoring.serve(port=0)
        early.add(2, {"kind": "a"})
        metrics.get_meter("some.library").create_histogram("late", unit="s").record(0.2)
        print(monitoring.exposition()[0].decode())
        """
    )
    assert 'early_total{kind="a"} 2.0' in printed
    assert "late_seconds_count 1.0" in printed
    assert 'memory_usage_bytes{component="unknown_service"}' in printed
    assert "otel_scope" not in printed


def test_the_applications_own_meter_provider_is_used_and_kept() -> None:
    """A provider that the application has set stays, and its instruments show."""
    printed = run(
        """
        from opentelemetry import metrics
        from opentelemetry.sdk.metrics import MeterProvider
        mine = MeterProvider()
        metrics.set_meter_provider(mine)
        from otel_monitoring import MonitoringService
        monitoring = MonitoringService()
        assert metrics.get_meter_provider() is mine
        metrics.get_meter("app").create_counter("orders").add(3)
        print(monitoring.exposition()[0].decode())
        """
    )
    assert "orders_total 3.0" in printed


def test_an_application_may_set_its_meter_provider_after_the_service_is_made() -> None:
    """A provider that is set later is not refused, and its instruments show from the first scrape on."""
    printed = run(
        """
        from otel_monitoring import MonitoringService
        monitoring = MonitoringService()
        from opentelemetry import metrics
        from opentelemetry.sdk.metrics import MeterProvider
        mine = MeterProvider()
        metrics.set_meter_provider(mine)
        assert metrics.get_meter_provider() is mine
        monitoring.exposition()
        metrics.get_meter("app").create_counter("orders").add(3)
        print(monitoring.exposition()[0].decode())
        """
    )
    assert "orders_total 3.0" in printed


def test_a_first_push_at_the_end_of_the_process_is_no_fault() -> None:
    """Then it is too late for a MeterProvider of ours, and needless."""
    printed = run(
        """
        import http.server, threading
        from otel_monitoring import MonitoringService

        class Gateway(http.server.BaseHTTPRequestHandler):
            def do_PUT(self):
                pushed = self.rfile.read(int(self.headers["Content-Length"])).decode()
                wanted = "jobs", 'monitoring_dropped_total{reason="internal"'
                print(*(line for line in pushed.splitlines() if line.startswith(wanted)))
                self.send_response(202)
                self.end_headers()

            def log_message(self, *_):
                pass

        server = http.server.HTTPServer(("127.0.0.1", 0), Gateway)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        gateway = f"http://127.0.0.1:{server.server_port}"
        monitoring = MonitoringService(prometheus_push_gateway=gateway)
        monitoring.counter("jobs", unit="{job}", description="Jobs.").add(1)
        """
    )
    assert printed == 'monitoring_dropped_total{reason="internal"} 0.0 jobs_total 1.0\n'


def test_a_served_page_may_leave_the_meter_provider_to_the_application() -> None:
    """With ``provide=False`` it may set one while the page is there; else one is made when that is served."""
    printed = run(
        """
        from otel_monitoring import MonitoringService
        monitoring = MonitoringService()
        server = monitoring.serve(port=0, provide=False)
        from opentelemetry import metrics
        from opentelemetry.sdk.metrics import MeterProvider
        print(isinstance(metrics.get_meter_provider(), MeterProvider))
        assert monitoring.serve(port=0) is server
        print(isinstance(metrics.get_meter_provider(), MeterProvider))
        monitoring.shutdown()
        """
    )
    assert printed.split() == ["False", "True"]


def test_requests_that_opentelemetry_is_told_to_leave_out_become_no_spans() -> None:
    """OpenTelemetry's own variable of excluded URLs holds, with the metrics shown by the application too."""
    printed = run(
        """
        import warnings
        warnings.simplefilter("ignore")  # those of the test client are not ours
        from fastapi import FastAPI
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
        from starlette.testclient import TestClient
        from otel_monitoring import MonitoringService
        spans = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(spans))
        trace.set_tracer_provider(provider)
        app = FastAPI()
        MonitoringService().instrument(app, metrics_path="/metrics")
        @app.get("/items")
        def items() -> int:
            return 1
        @app.get("/health")
        def health() -> int:
            return 1
        with TestClient(app) as client:
            for path in ("/items", "/health", "/metrics"):
                client.get(path)
        print([span.name for span in spans.get_finished_spans()])
        """,
        OTEL_PYTHON_FASTAPI_EXCLUDED_URLS="/health",
    )
    assert printed.strip() == "['GET /items']"


def test_fastapis_own_metrics_stand_back_where_we_measure_its_requests() -> None:
    """A release of FastAPI that measures requests itself shows nothing beside ours."""
    printed = run(
        """
        import warnings
        warnings.simplefilter("ignore")  # those of the test client are not ours
        from fastapi import FastAPI
        from starlette.testclient import TestClient
        from otel_monitoring import MonitoringService
        monitoring = MonitoringService()
        app = FastAPI()
        monitoring.instrument(app, metrics_path="/metrics")
        monitoring.serve(port=0)
        @app.get("/items/{item}")
        def show(item: int) -> int:
            return item
        with TestClient(app) as client:
            for item in range(3):
                client.get(f"/items/{item}")
            print(client.get("/metrics").text)
        """
    )
    assert 'request_duration_seconds_count{endpoint="/items/{item}",method="GET"} 3' in printed
    assert "http_server" not in printed


def test_settings_come_from_the_environment_and_keywords_win() -> None:
    """OTEL_MONITORING_… and OpenTelemetry's own variables are read."""
    printed = run(
        """
        from otel_monitoring import MonitoringService
        settings = MonitoringService(max_series=7).settings
        print(settings.service_name, settings.max_series, settings.prometheus_port)
        """,
        OTEL_SERVICE_NAME="shop",
        OTEL_MONITORING_MAX_SERIES="9",
        OTEL_MONITORING_PROMETHEUS_PORT="9999",
    )
    assert printed.split() == ["shop", "7", "9999"]


def test_a_process_ends_in_time_though_the_gateway_is_gone() -> None:
    """At exit the last push is tried within the bound, and the process ends with its own code."""
    run(
        """
        from otel_monitoring import MonitoringService
        monitoring = MonitoringService(prometheus_push_gateway="http://127.0.0.1:9", shutdown_timeout_seconds=1)
        monitoring.counter("jobs").add(1)
        assert monitoring.push(0.5) is False
        """
    )


def test_who_hears_errors_hears_each_once_until_it_has_heard_enough(monitoring: MonitoringService) -> None:
    """A function of the application's takes the records, counted and scrubbed."""
    heard: list[str] = []
    stop = monitoring.hear_errors(lambda record: heard.append(record.message))
    error = LookupError("no profile, password=hunter2")
    for _ in range(2):
        monitoring.log_error("failed", exception=error)
    monitoring.log_error("timed out")
    stop()
    monitoring.log_error("not heard")
    assert heard == ["failed", "timed out"]


def test_an_offline_service_pushes_nothing_and_keeps_nothing(tmp_path: Path) -> None:
    """It records as ever, and says why there are no errors to ask for."""
    with MonitoringService(
        **QUIET, offline=True, prometheus_push_gateway="http://127.0.0.1:9", store_errors=f"{tmp_path}/errors.db"
    ) as service:
        service.log_error("failed")
        assert service.push()
        assert service.delete_pushed()
        with pytest.raises(ConfigurationError, match="give offline=False"):
            _ = service.errors
        assert b'system_errors_total{error_type="log_error"' in service.exposition()[0]
    assert list(tmp_path.iterdir()) == []


def test_push_without_a_gateway_is_a_mistake_offline_too() -> None:
    with MonitoringService(**QUIET, offline=True) as service, pytest.raises(ConfigurationError, match="is not set"):
        service.push()


SHOWN = {
    "metrics_path": "show = service.instrument(lambda environ, start: [], metrics_path='/metrics')",
    "wsgi_app": "show = service.wsgi_app()",
    "asgi_app": "service.asgi_app(); show = lambda *_: [service.exposition()[0]]",
    "push": (
        "service = MonitoringService(prometheus_push_gateway='http://127.0.0.1:9', push_interval_seconds=0, "
        "shutdown_timeout_seconds=0.1); show = lambda *_: [service.exposition()[0]]"
    ),
    "serve": "service.serve(0, provide=False); show = lambda *_: [service.exposition()[0]]",
}


@pytest.mark.parametrize("how", SHOWN)
def test_first_scrape_imports_nothing(how: str) -> None:
    """A child that is forked while a thread of its parent imports would wait for that import for ever."""
    printed = run(
        "import sys\n"
        "from wsgiref.util import setup_testing_defaults\n"
        "from otel_monitoring import MonitoringService\n"
        "service = MonitoringService()\n"
        f"{SHOWN[how]}\n"
        "environ = {'PATH_INFO': '/metrics'}\n"
        "setup_testing_defaults(environ)\n"
        "before = set(sys.modules)\n"
        "body = b''.join(show(environ, lambda *_: None))\n"
        "print(b'# TYPE' in body, sorted(set(sys.modules) - before))\n"
    )
    assert printed == "True []\n"
