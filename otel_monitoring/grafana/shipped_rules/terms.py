"""What the shipped rules are written with: the limits, the job they watch, and texts that have these filled in."""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass
from string import Template
from typing import TYPE_CHECKING

from otel_monitoring.catalogue.bounds import bound_text
from otel_monitoring.grafana.alert import Alert, Record
from otel_monitoring.grafana.result_labels import result_labels

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from otel_monitoring.catalogue.objective import Objectives
    from otel_monitoring.catalogue.thresholds import Thresholds
    from otel_monitoring.grafana.alert_text import Reference

OVERVIEW = "otel-monitoring-overview"
PLATFORM = "otel-monitoring-platform"
BUSINESS = "otel-monitoring-business"
ITSELF = "otel-monitoring-self"
"""The uids of the dashboards that the alerts link to."""

ALERT = "{alert}"
"""Stands in the address of the runbooks for an alert's name."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a set of rules is made for.

    Attributes:
        thresholds: the limits.
        objectives: what operations promise.
        job: the Prometheus job that is watched.
        runbooks: the URL or the path that the runbooks are below, or one with ``{alert}`` in it.
    """

    thresholds: Thresholds
    objectives: Objectives
    _: KW_ONLY
    job: str
    runbooks: str

    @property
    def watched(self) -> str:
        """The matcher of the job."""
        return f"job={quoted(self.job)}"

    def promql(self, template: str, **more: str) -> str:
        """Return a query with ``$…`` filled in.

        Args:
            template: may name any threshold, ``$job`` for the matcher of the job, and what ``more`` gives.
            more: PromQL or numbers as PromQL writes them.
        """
        given = {**self._numbers(), "job": self.watched, **more}
        return Template(template.strip("\n")).substitute(given)

    def alert(
        self,
        name: str,
        expr: str,
        *,
        hold: str,
        category: str,
        summary: str,
        description: str,
        severity: str = "warning",
        keep_firing_for: str | None = None,
        labels: Mapping[str, str] | None = None,
        dashboard: str = OVERVIEW,
        reference: Reference | None = None,
    ) -> Alert:
        """Return an alert with the link to its runbook; arguments are those of ``Alert``."""
        return Alert(
            name,
            expr,
            hold=hold,
            severity=severity,
            category=category,
            summary=summary,
            description=description,
            keep_firing_for=keep_firing_for,
            labels=labels or {},
            runbook_url=self._runbook(name),
            dashboard=dashboard,
            reference=reference,
        )

    def _runbook(self, name: str) -> str:
        return self.runbooks.replace(ALERT, name) if ALERT in self.runbooks else f"{self.runbooks}/{name}.md"

    def threshold_records(self, name: str, *, every: str, record: str) -> Iterator[Record]:
        """Give the series that hold a threshold for each component, or whatever its scope is.

        Where some have a value of their own, these are series too, so that the others get the value for all.

        Args:
            name: of the threshold.
            every: PromQL that gives 1 for each thing that has it, by job and the threshold's labels.
            record: the name of the series.
        """
        own = self.thresholds.own_of(name)
        default = number(getattr(self.thresholds, name))
        if not own:
            yield Record(record, f"{default} * {every}")
            return
        single = f"otel_monitoring:{name}:threshold"
        for one in own:
            yield Record(single, f"vector({number(one.value)})", {"job": self.job, **one.labels})
        on = ", ".join(("job", *own[0].labels))
        expr = f"{every}\n  * on ({on}) group_left () {single}\nor\n{default} * {every}"
        yield Record(record, expr)

    def _numbers(self) -> dict[str, str]:
        names = (row.name for row in self.thresholds.table())
        return {name: number(getattr(self.thresholds, name)) for name in names}


def number(value: float) -> str:
    """Return a number as PromQL writes it, to its last digit."""
    text = repr(float(value))
    return text.removesuffix(".0")


def quoted(text: str) -> str:
    """Return text as PromQL writes it in quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def literal(text: str) -> str:
    """Return text as a template that gives it, whatever braces it holds."""
    return re.sub(r"\{\{|\}\}", r'{{ "\g<0>" }}', text)


def bucket(bound: float) -> str:
    """Return the matcher of a histogram's bucket.

    Whole bounds are ``1.0`` where a client or Prometheus 3 writes them, and ``1`` where others do.
    """
    return f'le=~"{bound:.0f}|{bound:.0f}[.]0"' if float(bound).is_integer() else f'le="{bound_text(bound)}"'


def shown_share(value: float) -> str:
    """Return a share for people, as ``5%``."""
    return f"{round(value * 100, 10):.12g}%"


def shown_seconds(value: float) -> str:
    """Return a duration for people, as ``2.5s`` or ``4h``."""
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60)):
        if value >= length and value % length == 0:
            return f"{value // length:.0f}{unit}"
    return f"{value:.12g}s"


def records_with_labels(records: tuple[Record, ...]) -> dict[str, frozenset[str]]:
    """Return the labels of recorded series by name; records may read those above them."""
    known: dict[str, frozenset[str]] = {}
    for record in records:
        found = result_labels(record.expr, known.get)
        known[record.name] = known.get(record.name, frozenset()) | (found or frozenset()) | frozenset(record.labels)
    return known
