"""Holds each query to PromQL's grammar and to the catalogue, when its panel or rule is made."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import promql_parser

from otel_monitoring.exceptions import QueryError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_monitoring.catalogue import Catalogue

GRAFANA_DURATION = re.compile(r"\$__(rate_interval|interval|range)\b|\$\{__(rate_interval|interval|range)\}")
GRAFANA_VARIABLE = re.compile(r"\$\{?\w+(:\w+)?\}?")
NO_RECORDED: dict[str, frozenset[str]] = {}


def check_query(
    expr: str,
    catalogue: Catalogue,  # noqa: ARG001 (names are checked next)
    *,
    where: str,
    recorded: Mapping[str, frozenset[str]] = NO_RECORDED,  # noqa: ARG001 (as above)
) -> None:
    """Refuse a query that is no PromQL, or that names what the catalogue does not hold.

    Args:
        expr: the PromQL; Grafana's variables may stand in it.
        catalogue: what is declared.
        where: whose query it is, as in ``panel 'Backlog'``; the message begins with it.
        recorded: the series that recording rules make, by name, with their labels.

    Raises:
        QueryError: the message says what is wrong and what would be right.
    """
    parse_query(expr, where=where)


def parse_query(expr: str, *, where: str) -> None:
    """Refuse what is no PromQL; Grafana's variables may stand in it.

    Raises:
        QueryError: the message says where the grammar is left.
    """
    try:
        promql_parser.parse(GRAFANA_VARIABLE.sub(".*", GRAFANA_DURATION.sub("5m", expr)))
    except ValueError as error:
        raise QueryError(f"{where}: {expr!r} is no PromQL: {error}") from None
