"""Declare metrics of your own and record to them; prints what Prometheus would see.

python examples/own_metrics.py
"""

from __future__ import annotations

import time

from otel_monitoring import MonitoringService

monitoring = MonitoringService(service_name="mailer")

JOBS = monitoring.counter("jobs", unit="{job}", labels=("queue", "outcome"), description="Jobs finished.")
WAITING = monitoring.up_down_counter("jobs_waiting", unit="{job}", labels=("queue",), description="Jobs in the queue.")
WAIT = monitoring.histogram(
    "job_wait", unit="s", labels=("queue",), description="Time in the queue.", buckets=(0.1, 1, 10)
)
LAST_MAIL = monitoring.gauge(
    "last_mail_timestamp", unit="s", description="When the last mail was sent, in seconds since 1970."
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
    body, _ = monitoring.exposition()
    print(body.decode())  # noqa: T201 (it is what the example shows)
