"""Each example runs alone, as a program, and its metrics are what it says."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.servers import PATIENCE_SECONDS, ask, check_metrics, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.servers import PushgatewayServer

EXAMPLES = Path(__file__).parent.parent / "examples"
BUFFERED_NOWHERE = {**os.environ, "PYTHONUNBUFFERED": "1"}

pytestmark = pytest.mark.programs


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run an example to its end."""
    return subprocess.run(
        [sys.executable, "-W", "error", EXAMPLES / arguments[0], *arguments[1:]],
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE_SECONDS,
        check=False,
        env={**os.environ, **environment},
    )


@contextmanager
def running(*arguments: str) -> Iterator[str]:
    """Run an example that serves, end it with Ctrl-C, and give where it serves."""
    with subprocess.Popen(
        # Where the tests run in the background, Ctrl-C is switched off for all that they start.
        ["env", "--default-signal=INT", sys.executable, EXAMPLES / arguments[0], *arguments[1:], "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=BUFFERED_NOWHERE,
    ) as process:
        assert process.stdout is not None
        try:
            yield address_in(process.stdout)
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=PATIENCE_SECONDS)
        finally:
            process.kill()
    assert process.returncode == 0, said
    assert "KeyboardInterrupt" not in said


def address_in(said: IO[str]) -> str:
    """Return the base URL that a program says it serves at."""
    heard = ""
    for line in said:
        heard += line
        if found := re.search(r"http://127\.0\.0\.1:[1-9]\d*", line):
            return found[0]
    raise AssertionError(heard)


def shown(address: str) -> dict[tuple[str, ...], float]:
    """Return the samples at an address's metrics, by name and label values; promtool finds nothing wrong with them."""
    text = ask(f"{address}/metrics").body
    assert check_metrics(text) == []
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_own_metrics_prints_what_prometheus_would_see() -> None:
    """The example of one's own metrics prints them with their Prometheus names."""
    done = run("own_metrics.py")
    assert done.returncode == 0
    assert done.stderr.startswith("bounces_total has 2 series, its budget")
    assert check_metrics(done.stdout) == []
    assert 'jobs_total{queue="mail",outcome="done"} 3.0' in done.stdout
    assert 'worker_load{worker="1"} 0.75' in done.stdout
    assert 'bounces_total{otel_metric_overflow="true"} 2.0' in done.stdout
    assert 'engagement_total{platform="email",metric_type="reply"} 3.0' in done.stdout
    assert 'job_wait_seconds_bucket{queue="mail",le="1.0"} 2' in done.stdout


def test_the_fastapi_application_shows_its_requests() -> None:
    """Route templates, errors, scores, a stream to its end, and what is done after the answer."""
    with running("fastapi_app.py") as address:
        assert ask(f"{address}/prospects/anna/score").status == 200
        assert ask(f"{address}/prospects/unknown/score").status == 500
        assert ask(f"{address}/prospects/anna/draft").body == b"Hello anna, I have seen your work. "
        assert ask(f"{address}/prospects/anna/messages", method="POST").status == 202
        sent = "operations_total", "send", "sender", "success"
        wait_until(lambda: shown(address).get(sent))
        found = shown(address)
    assert found["http_requests_total", "/prospects/{prospect_id}/score", "GET", "2xx"] == 1
    assert found["http_requests_total", "/prospects/{prospect_id}/score", "GET", "5xx"] == 1
    assert found["request_duration_seconds_count", "/prospects/{prospect_id}/draft", "GET"] == 1
    assert found["request_duration_seconds_sum", "/prospects/{prospect_id}/draft", "GET"] >= 0.06
    assert found["system_errors_total", "LookupError", "scorer"] == 1
    assert found["operations_total", "score", "scorer", "success"] == 1
    assert found["operations_total", "send", "sender", "success"] == 1
    assert found["stream_items_total", "draft", "writer"] == 7


def test_the_flask_application_shows_its_requests() -> None:
    """Route templates, errors, scores, and a stream to its end."""
    with running("flask_app.py") as address:
        assert ask(f"{address}/prospects/anna/score").status == 200
        assert ask(f"{address}/prospects/unknown/score").status == 500
        assert ask(f"{address}/prospects/anna/draft").body == b"Hello anna, I have seen your work. "
        found = shown(address)
    assert found["http_requests_total", "/prospects/<prospect_id>/score", "GET", "2xx"] == 1
    assert found["http_requests_total", "/prospects/<prospect_id>/score", "GET", "5xx"] == 1
    assert found["request_duration_seconds_sum", "/prospects/<prospect_id>/draft", "GET"] >= 0.06
    assert found["system_errors_total", "LookupError", "scorer"] == 1
    assert found["operations_total", "score", "scorer", "success"] == 1
    assert found["stream_items_total", "draft", "writer"] == 7


def test_the_agent_pipeline_shows_what_agents_tools_and_platforms_do() -> None:
    """From the first page that is found to conversions, with refusals, waits and errors in between."""
    with running("agent_pipeline.py") as address:
        wait_until(lambda: shown(address).get(("operations_total", "outreach", "outreach", "success")))
        found = shown(address)
    for operation in (("find", "finder"), ("score", "scorer"), ("writer", "writer"), ("send", "sender")):
        assert found["operations_total", *operation, "success"] >= 1
        assert found["processing_time_seconds_count", *operation] >= 1
        assert found["component_last_success_timestamp_seconds", operation[1]] > 0
    for stream in (("find", "finder"), ("writer", "writer")):
        assert found["stream_first_item_seconds_count", *stream] >= 1
    assert found["stream_items_total", "find", "finder"] >= 15
    assert found["api_requests_total", "linkedin", "success"] >= 10
    assert found["api_requests_total", "linkedin", "client_error"] >= 1
    assert found["api_requests_total", "linkedin", "server_error"] >= 1
    assert found["api_requests_total", "anthropic", "success"] >= 10
    assert found["rate_limit_quota", "linkedin", "api"] == 12
    assert found["rate_limit_reset_timestamp_seconds", "linkedin", "api"] > 0
    assert ("rate_limit_remaining", "linkedin", "api") in found
    assert found["rate_limit_hits_total", "linkedin", "api"] >= 1
    assert found["rate_limit_wait_seconds_count", "linkedin"] >= 1
    assert found["system_errors_total", "httpx2.HTTPStatusError", "sender"] >= 1
    assert found["system_errors_total", "invalid_profile", "scorer"] >= 3
    assert found["prospect_score_distribution_count", "linkedin", "engagement"] >= 15
    assert 0 <= found["prospect_score", "linkedin", "engagement"] <= 1
    for name, label in (("engagement", "reply"), ("conversions", "meeting")):
        assert found[f"{name}_total", "linkedin", label] >= 1
    for outcome in ("sent", "failed", "skipped"):
        assert found["outreach_attempts_total", "linkedin", outcome] >= 1
    tokens = "chat", "anthropic", "claude-sonnet-4-5"
    assert found["gen_ai_client_token_usage_sum", *tokens, "input"] >= 400


def test_the_agent_pipeline_ends_after_one_round() -> None:
    """And says what is left of the platform's limit."""
    done = run("agent_pipeline.py", "--once", "--port", "0")
    assert done.returncode == 0, done.stderr
    assert "RateLimitStatus(platform='linkedin', limit_type='api', remaining=" in done.stdout


def test_the_batch_job_leaves_its_metrics_at_a_pushgateway(pushgateway: PushgatewayServer) -> None:
    """Under its job's name; what could not be imported makes its exit code."""
    done = run("batch_job.py", PUSHGATEWAY=pushgateway.url)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == "2 rows could not be imported; metrics pushed\n"
    rows = {sample.labels["outcome"]: sample for sample in pushgateway.samples("import_rows_total")}
    assert {outcome: sample.value for outcome, sample in rows.items()} == {"imported": 2, "failed": 2}
    assert (rows["failed"].labels["job"], rows["failed"].labels["region"]) == ("prospect_import", "eu")
    errors = {sample.labels["error_type"]: sample.value for sample in pushgateway.samples("system_errors_total")}
    assert errors == {"ValueError": 1, "ArithmeticError": 1}
    finished = pushgateway.samples("component_last_success_timestamp_seconds")
    assert sorted(sample.labels["component"] for sample in finished) == ["importer", "parser"]


def test_the_batch_job_does_its_work_without_a_gateway(tmp_path: Path) -> None:
    """It says that nothing was pushed, and its exit code is that of its work."""
    rows = tmp_path / "rows.csv"
    rows.write_text("id,platform,score\nanna,linkedin,1\n", encoding="utf-8")
    done = run("batch_job.py", str(rows), PUSHGATEWAY="http://127.0.0.1:1")
    assert (done.returncode, done.stdout) == (0, "0 rows could not be imported; metrics not pushed: the log says why\n")
    assert "Traceback" not in done.stderr
