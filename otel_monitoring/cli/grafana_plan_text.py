"""What a plan says, as people read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_monitoring.cli.harmless import one_line
from otel_monitoring.grafana.plan import Action

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_monitoring.grafana.plan import Plan, Step

SIGNS = {
    Action.CREATE: "+",
    Action.CHANGE: "~",
    Action.PRUNE: "-",
    Action.REFUSED: "!",
    Action.LEFT: "?",
    Action.SHARED: "=",
    Action.UNCHANGED: " ",
}
_COUNTED = {
    Action.CREATE: "to create",
    Action.CHANGE: "to change",
    Action.PRUNE: "to remove",
    Action.UNCHANGED: "unchanged",
    Action.LEFT: "left over",
    Action.SHARED: "shared",
    Action.REFUSED: "refused",
}


def plan_lines(plan: Plan) -> Iterator[str]:
    """Give the lines of a plan: all but what is unchanged, with each field that differs, and the sum."""
    for step in plan.steps:
        if step.action is not Action.UNCHANGED:
            yield step_line(step)
            yield from (f"      {one_line(str(difference))}" for difference in step.differences)
            if step.reason:
                yield f"      {one_line(step.reason)}"
    yield sum_line(plan)


def step_line(step: Step) -> str:
    """Return the line of one step."""
    named = step.title if step.title == step.uid else f"{step.title} ({step.uid})"
    return f"  {SIGNS[step.action]} {step.action.value:<9} {step.kind.value:<10} {one_line(named)}"


def sum_line(plan: Plan) -> str:
    """Return how much there is to do."""
    counts = {action: plan.count(action) for action in _COUNTED}
    listed = ", ".join(f"{number} {_COUNTED[action]}" for action, number in counts.items() if number)
    if not plan.changes and not plan.refused:
        return f"Nothing to do: {listed}." if listed else "Nothing to do."
    return f"{listed[:1].upper()}{listed[1:]}."
