"""A PromQL query that knows how it wants to be shown."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """PromQL with what a panel needs beside it, so that a panel is made of it as it stands.

    Attributes:
        expr: the PromQL; ``$job``, ``$instance`` and ``$__rate_interval`` are Grafana's variables.
        title: what the panel is called.
        unit: the unit of the result in the catalogue's terms: UCUM (``s``, ``By``, ``%``, ``1``) or an
            annotation such as ``{job}``, with ``/s`` behind it for a rate.
        legend: the text of each series, with labels as ``{{queue}}``; empty shows all labels.
        description: one sentence on what it tells.
        metric: the Prometheus name of the metric that it reads.
    """

    expr: str
    title: str
    unit: str = ""
    legend: str = ""
    description: str = ""
    metric: str = ""
