"""The nodes that an alert rule of Grafana's is made of: queries of Prometheus, and expressions over them.

https://grafana.com/docs/grafana/latest/developers/http_api/alerting_provisioning/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = dict[str, object]

EXPRESSIONS = "__expr__"
"""The uid of the datasource that evaluates expressions inside of Grafana."""

LOOK_BACK_SECONDS = 600


def instant_query(ref_id: str, expr: str, datasource_uid: str) -> Json:
    """Return a query for the value now."""
    model = {"refId": ref_id, "expr": expr, "instant": True, "range": False}
    return _node(ref_id, datasource_uid, model, since=LOOK_BACK_SECONDS)


def range_query(ref_id: str, expr: str, datasource_uid: str, *, since: int, until: int) -> Json:
    """Return a query for the values of a time, both of whose ends are given as seconds before now."""
    model = {"refId": ref_id, "expr": expr, "instant": False, "range": True}
    return _node(ref_id, datasource_uid, model, since=since, until=until)


def expression(ref_id: str, model: Mapping[str, object]) -> Json:
    """Return an expression over other nodes."""
    return _node(ref_id, EXPRESSIONS, {"refId": ref_id, **model})


def _node(ref_id: str, datasource_uid: str, model: Mapping[str, object], *, since: int = 0, until: int = 0) -> Json:
    return {
        "refId": ref_id,
        "datasourceUid": datasource_uid,
        "relativeTimeRange": {"from": since, "to": until},
        "model": dict(model),
    }
