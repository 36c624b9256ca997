"""Takes out of a Grafana what people changed there, as files that can be handed back to it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from otel_monitoring.grafana.ownership import (
    is_dashboard_as_written,
    is_our_rule,
    is_ours_to_write,
    is_rule_as_written,
    is_written_dashboard,
)
from otel_monitoring.grafana.pulled import dashboard_file, group_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_monitoring.grafana.found import FoundDashboard, RuleGroup
    from otel_monitoring.grafana.present import Present


def pulled_files(present: Present, *, everything: bool = False) -> dict[str, str]:
    """Return the text of each file, by its path.

    Args:
        present: what is there.
        everything: also what is as we wrote it, and dashboards that have our tag alone.
    """
    dashboards = (
        dashboard_file(one)
        for one in present.dashboards.values()
        if is_ours_to_write(one) and (everything or _was_changed(one))
    )
    return dict([*dashboards, *(group_file(group) for group in _groups(present, everything=everything))])


def _was_changed(found: FoundDashboard) -> bool:
    return is_written_dashboard(found.spec) and not is_dashboard_as_written(found)


def _groups(present: Present, *, everything: bool) -> Iterator[RuleGroup]:
    for group in present.groups:
        ours = tuple(rule for rule in group.rules if is_our_rule(rule))
        changed = not all(is_rule_as_written(rule, group) for rule in ours)
        if ours and (everything or changed) and not present.is_from_file(group):
            yield replace(group, rules=ours)
