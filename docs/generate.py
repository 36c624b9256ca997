"""Writes what is made from the code: the pages ``settings.md`` and ``metrics.md``, and the folder ``grafana/``.

With ``--check`` nothing is written, and a file that is not as the code has it is an error.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from otel_monitoring.catalogue import Declaration, Kind
from otel_monitoring.catalogue.shipped import SHIPPED
from otel_monitoring.cli.grafana_content import Subject
from otel_monitoring.cli.grafana_render import rendered
from otel_monitoring.cli.rendered_folder import stale_files, write_folder
from otel_monitoring.grafana.content import shipped_content
from otel_monitoring.grafana.shipped_rules import JOB
from otel_monitoring.grafana.stack import Stack
from otel_monitoring.metrics import Registry
from otel_monitoring.settings import Row, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HERE = Path(__file__).parent
GRAFANA = HERE.parent / "grafana"
NOTE = "<!-- Made by `nox -s generate` from the code; do not edit. -->\n\n"

SETTINGS = """# Settings

All are optional. Each may be given as a keyword of `MonitoringService`, as a key of its dictionary, or in the
environment; where several are, the first of these counts: keyword, dictionary, `OTEL_MONITORING_…` variable,
OpenTelemetry's own variable, default. `None` and empty text mean "not given". Text is read alike from everywhere:
`true`, `1`, `yes`, `on` and `false`, `0`, `no`, `off`; lists with commas; labels as `name=value,name=value`, with
values percent-encoded.

An unknown name or a wrong value is a `ConfigurationError` that lists every problem and where it came from.
"""
METRICS = """# Metrics

What comes with the package. A metric is declared under its OpenTelemetry name and unit; Prometheus shows the other.
Each may be recorded under either: `monitoring.record_metric("prospect_score", 0.85, labels={…})`.
"""


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or check them; return the exit code."""
    pages = {HERE / "settings.md": settings_page(), HERE / "metrics.md": metrics_page()}
    files = grafana_files()
    if "--check" not in arguments:
        for path, text in pages.items():
            path.write_text(text, encoding="utf-8")
        write_folder(GRAFANA, files, overwrite=True)
        return 0
    wrong = [path for path, text in pages.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    stale = [*(f"docs/{path.name}" for path in wrong), *(f"grafana/{name}" for name in stale_files(GRAFANA, files))]
    for name in stale:
        sys.stderr.write(f"{name} is not as the code has it: run `nox -s generate`\n")
    return 1 if stale else 0


def grafana_files() -> dict[str, str]:
    """Return the files of the folder ``grafana/``: what ``otel-monitoring grafana render`` writes, from this clone."""
    settings = Settings.load(None, environ={})
    subject = Subject(settings, shipped_content(Registry().catalogue, job=JOB), JOB, None)
    return rendered(subject, Stack(job=JOB, source=".."), GRAFANA)


def settings_page() -> str:
    """Return the page of all settings."""
    head = ("Name", "Environment", "Type", "Default", "Unit", "Meaning")
    return NOTE + SETTINGS + "\n" + table(head, map(settings_row, Settings.table()))


def settings_row(row: Row) -> tuple[str, ...]:
    """Return the cells of one setting."""
    variables = "<br>".join(map(code, row.variables))
    return code(row.name), variables, row.type, code(row.default), row.unit, row.meaning


def metrics_page() -> str:
    """Return the page of all metrics that come with the package."""
    head = ("Prometheus", "OpenTelemetry", "Kind", "Unit", "Labels", "Meaning")
    histograms = [metric for metric in SHIPPED if metric.kind is Kind.HISTOGRAM]
    buckets = table(("Histogram", "Upper bounds of its buckets"), map(buckets_row, histograms))
    return f"{NOTE}{METRICS}\n{table(head, map(metric_row, SHIPPED))}\n## Buckets\n\n{buckets}"


def metric_row(metric: Declaration) -> tuple[str, ...]:
    """Return the cells of one metric."""
    labels = ", ".join(map(code, metric.prometheus_labels))
    kind = metric.kind.value.replace("_", "-")
    return code(metric.prometheus_name), code(metric.name), kind, code(metric.unit), labels, metric.description


def buckets_row(metric: Declaration) -> tuple[str, ...]:
    """Return the cells of one histogram's buckets."""
    return code(metric.prometheus_name), ", ".join(f"{bound:.12g}" for bound in metric.buckets)


def code(text: str) -> str:
    """Return text set as code, and nothing for nothing."""
    return f"`{text}`" if text else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n" for cells in lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
