"""Declare metrics of your own and record to them; prints what Prometheus would see.

python examples/own_metrics.py
"""

from __future__ import annotations

import time

from otel_monitoring import MonitoringService

monitoring = MonitoringService(service_name="mailer")

# A name is OpenTelemetry's: Prometheus shows it with the unit, and a counter with _total.
JOBS = monitoring.counter("jobs", unit="{job}", labels=("queue", "outcome"), description="Jobs finished.")
WAITING = monitoring.up_down_counter("jobs_waiting", unit="{job}", labels=("queue",), description="Jobs in the queue.")
# The buckets are the upper bounds that matter: what is promised, and what is far beyond it.
WAIT = monitoring.histogram(
    "job_wait", unit="s", labels=("queue",), description="Time in the queue.", buckets=(0.1, 1, 10)
)
LAST_MAIL = monitoring.gauge(
    "last_mail_timestamp", unit="s", description="When the last mail was sent, in seconds since 1970."
)
# Whoever stops reporting is forgotten after five minutes, instead of standing still for ever.
WORKER_LOAD = monitoring.gauge(
    "worker_load", unit="{share}", labels=("worker",), description="How busy a worker is.", expire_after_seconds=300
)
# Labels that others choose have a budget: what is beyond it is added up in one series, and said once.
BOUNCES = monitoring.counter(
    "bounces", unit="{mail}", labels=("domain",), description="Mails that came back.", max_series=2
)


def work_off(queue: str, waits_seconds: list[float]) -> None:
    """Finish one job for each wait."""
    done = JOBS.labels(queue=queue, outcome="done")  # bound: look it up once, keep it
    for wait_seconds in waits_seconds:
        WAITING.add(1, {"queue": queue})
        WAIT.record(wait_seconds, {"queue": queue})
        done.add()
        WAITING.add(-1, {"queue": queue})
    LAST_MAIL.set(time.time())


if __name__ == "__main__":
    work_off("mail", [0.05, 0.4, 3.2])
    WORKER_LOAD.set(0.75, {"worker": "1"})
    for domain in ("example.com", "example.org", "example.net", "example.edu"):
        BOUNCES.add(1, {"domain": domain})
    # By name, where the metric is declared elsewhere: the catalogue's own, or one of these.
    monitoring.record_metric("engagement_total", 3, {"platform": "email", "metric_type": "reply"})
    monitoring.record_metric("jobs_total", 1, {"queue": "mail", "outcome": "failed"})
    body, _ = monitoring.exposition()
    print(body.decode())  # noqa: T201 (it is what the example shows)
