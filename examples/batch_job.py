"""A batch job that imports prospects from a CSV file, and leaves what it did at a Pushgateway before it ends.

pip install otel-monitoring
python examples/batch_job.py                                     # rows of its own, gateway http://localhost:9091
PUSHGATEWAY=http://pushgateway:9091 python examples/batch_job.py prospects.csv

A gateway that is down does not fail the job.  Alert on the age of what a gateway keeps, since a job that is never
started pushes nothing:  time() - component_last_success_timestamp_seconds{component="importer"} > 90000
"""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from otel_monitoring import MonitoringService

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SAMPLE = """id,platform,score
anna,linkedin,0.85
boris,github,0.4
carla,linkedin,very high
dmitri,linkedin,1.7
"""

monitoring = MonitoringService(
    {"prometheus_push_gateway": os.environ.get("PUSHGATEWAY", "http://localhost:9091")},
    service_name="prospect_import",  # the job that Prometheus shows
    push_grouping={"region": "eu"},  # jobs that run side by side need groups of their own: one replaces the other
)
ROWS = monitoring.counter("import_rows", unit="{row}", labels=("outcome",), description="Rows of the file.")


@monitoring.operation("import_row", component="parser")
def import_row(row: Mapping[str, str]) -> None:
    """Take one row over; what is wrong with it is counted as an error, by its class."""
    score = float(row["score"])
    if not 0 <= score <= 1:
        raise ArithmeticError(f"the score of {row['id']} is {score}: scores are between 0 and 1")
    monitoring.record_metric("prospect_score", score, {"platform": row["platform"], "score_type": "imported"})


@monitoring.operation("import", component="importer")
def import_rows(lines: Iterable[str]) -> int:
    """Take over what can be; return how many rows could not."""
    failed = 0
    for row in csv.DictReader(lines):
        try:
            import_row(row)
        except (ValueError, ArithmeticError):
            failed += 1
            ROWS.add(1, {"outcome": "failed"})
        else:
            ROWS.add(1, {"outcome": "imported"})
    return failed


def main(files: list[str]) -> int:
    """Import the files, push, and return the exit code."""
    texts = [Path(file).read_text(encoding="utf-8") for file in files] or [SAMPLE]
    failed = sum(import_rows(text.splitlines()) for text in texts)
    # It would be pushed at the exit, too; here one learns whether that worked.
    pushed = "pushed" if monitoring.push() else "not pushed: the log says why"
    print(f"{failed} rows could not be imported; metrics {pushed}")  # noqa: T201 (a program's answer)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
