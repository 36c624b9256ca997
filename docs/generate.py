"""Writes what is made from the code: settings, metrics, thresholds, the runbooks, and the folder ``grafana/``.

With ``--check`` nothing is written, and a file that is not as the code has it is an error.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from otel_monitoring.catalogue import Declaration, Kind
from otel_monitoring.catalogue.objective import DeclaredObjective, Latency, Objective, Objectives
from otel_monitoring.catalogue.shipped import SHIPPED
from otel_monitoring.catalogue.thresholds import Thresholds
from otel_monitoring.cli.grafana_content import Subject
from otel_monitoring.cli.grafana_render import rendered
from otel_monitoring.cli.rendered_folder import stale_files, write_folder
from otel_monitoring.grafana.content import shipped_content
from otel_monitoring.grafana.runbook import Runbooks
from otel_monitoring.grafana.sensitivity import thresholds_behind
from otel_monitoring.grafana.shipped_dashboards import shipped_dashboards
from otel_monitoring.grafana.shipped_rules import JOB, shipped_groups
from otel_monitoring.grafana.stack import Stack
from otel_monitoring.grafana.usage import Usage, usage_of
from otel_monitoring.metrics import Registry
from otel_monitoring.settings import Row, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from otel_monitoring.catalogue.thresholds import ThresholdRow
    from otel_monitoring.grafana.alert import RuleGroup

HERE = Path(__file__).parent
GRAFANA = HERE.parent / "grafana"
RUNBOOKS = HERE / "runbooks"
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
THRESHOLDS = """# Thresholds

The limits of the [alerts](alerts.md), in the setting `thresholds`: `error_ratio=0.02, error_ratio.crawler=0.1`. A limit
out of its range, and a name that is unknown, are refused when the settings are read.
"""


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or check them; return the exit code."""
    pages = {
        HERE / "settings.md": settings_page(),
        HERE / "metrics.md": metrics_page(),
        HERE / "thresholds.md": thresholds_page(),
        **runbook_pages(),
    }
    files = grafana_files()
    if "--check" not in arguments:
        RUNBOOKS.mkdir(exist_ok=True)
        for path, text in pages.items():
            path.write_text(text, encoding="utf-8")
        write_folder(GRAFANA, files, overwrite=True)
        return 0
    wrong = [path for path, text in pages.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    stale = [
        *(str(path.relative_to(HERE.parent)) for path in wrong),
        *(f"grafana/{name}" for name in stale_files(GRAFANA, files)),
    ]
    for name in stale:
        sys.stderr.write(f"{name} is not as the code has it: run `nox -s generate`\n")
    orphans = sorted(set(RUNBOOKS.glob("*.md")) - set(pages))
    for path in orphans:
        sys.stderr.write(f"{path.relative_to(HERE.parent)} is of no alert: rename it as the alert was, or delete it\n")
    return 1 if stale or orphans else 0


def grafana_files() -> dict[str, str]:
    """Return the files of the folder ``grafana/``: what ``otel-monitoring grafana render`` writes, from this clone."""
    settings = Settings.load(None, environ={})
    subject = Subject(settings, shipped_content(Registry().catalogue, job=JOB), JOB, None)
    return rendered(subject, Stack(job=JOB, source=".."), GRAFANA)


def documented_groups(thresholds: Thresholds | None = None) -> tuple[RuleGroup, ...]:
    """Return all rules, with those that come where an operation has an objective for its latency."""
    promised = Objective(latency=Latency(seconds=2.5, share=0.95))
    return shipped_groups(thresholds, Objectives([DeclaredObjective("draft", "writer", promised)]))


def runbook_pages() -> dict[Path, str]:
    """Return the runbooks and their list; what is written by hand in those that are there stays."""
    runbooks = Runbooks(
        Registry().catalogue,
        documented_groups(),
        thresholds_behind(documented_groups),
        {dashboard.uid: dashboard.title for dashboard in shipped_dashboards()},
    )
    pages = {RUNBOOKS / "index.md": runbooks.index()}
    for name in runbooks.by_name():
        path = RUNBOOKS / f"{name}.md"
        pages[path] = runbooks.page(name, before=path.read_text(encoding="utf-8") if path.exists() else "")
    return pages


def settings_page() -> str:
    """Return the page of all settings."""
    head = ("Name", "Environment", "Type", "Default", "Unit", "Meaning")
    return NOTE + SETTINGS + "\n" + table(head, map(settings_row, Settings.table()))


def settings_row(row: Row) -> tuple[str, ...]:
    """Return the cells of one setting."""
    variables = "<br>".join(map(code, row.variables))
    return code(row.name), variables, row.type, code(row.default), row.unit, row.meaning


def thresholds_page() -> str:
    """Return the page of all thresholds."""
    head = ("Name", "Default", "Unit", "Range", "Own for each", "Meaning")
    return f"{NOTE}{THRESHOLDS}\n{table(head, map(threshold_row, Thresholds.table()))}"


def threshold_row(row: ThresholdRow) -> tuple[str, ...]:
    """Return the cells of one threshold."""
    own = code(".".join((row.name, *row.scope))) if row.scope else ""
    return code(row.name), f"{row.default:.12g}", row.unit, row.range, own, row.meaning


def metrics_page() -> str:
    """Return the page of all metrics that come with the package."""
    head = ("Prometheus", "OpenTelemetry", "Kind", "Unit", "Labels", "Meaning")
    histograms = [metric for metric in SHIPPED if metric.kind is Kind.HISTOGRAM]
    buckets = table(("Histogram", "Upper bounds of its buckets"), map(buckets_row, histograms))
    usage = usage_of(Registry().catalogue, shipped_dashboards(), documented_groups())
    used = table(("Metric", "Shown in", "Alerts that read it"), (usage_row(metric, usage) for metric in SHIPPED))
    return (
        f"{NOTE}{METRICS}\n{table(head, map(metric_row, SHIPPED))}\n## Buckets\n\n{buckets}\n"
        f"## Where they are used\n\nThrough recorded series, too.\n\n{used}"
    )


def metric_row(metric: Declaration) -> tuple[str, ...]:
    """Return the cells of one metric."""
    labels = ", ".join(map(code, metric.prometheus_labels))
    kind = metric.kind.value.replace("_", "-")
    return code(metric.prometheus_name), code(metric.name), kind, code(metric.unit), labels, metric.description


def buckets_row(metric: Declaration) -> tuple[str, ...]:
    """Return the cells of one histogram's buckets."""
    return code(metric.prometheus_name), ", ".join(f"{bound:.12g}" for bound in metric.buckets)


def usage_row(metric: Declaration, usage: Usage) -> tuple[str, ...]:
    """Return the cells of where one metric is used."""
    panels: dict[str, list[str]] = {}
    for place in usage.shown.get(metric.prometheus_name, ()):
        panels.setdefault(place.dashboard, []).append(place.panel)
    shown = "<br>".join(f"{dashboard}: {', '.join(titles)}" for dashboard, titles in panels.items())
    alerts = usage.alerts.get(metric.prometheus_name, ())
    linked = ", ".join(f"[{alert.name}](runbooks/{alert.name}.md)" for alert in alerts)
    return code(metric.prometheus_name), shown, linked


def code(text: str) -> str:
    """Return text set as code, and nothing for nothing."""
    return f"`{text}`" if text else ""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n" for cells in lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
