"""Waits until Grafana has evaluated rules as they now are: only then it is known whether they work."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from otel_monitoring.grafana.found import LiveRule, RuleGroup

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 4.0


class Watchable(Protocol):
    """What is asked of a client of Grafana."""

    async def live_rules(self, folder_uid: str) -> list[LiveRule]:
        """Return the state of a folder's rules."""
        ...


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What became of rules.

    Attributes:
        working: those that were evaluated.
        failing: those whose evaluation failed, with Grafana's reason.
        waiting: the titles of those that were not evaluated in time.
    """

    working: tuple[LiveRule, ...]
    failing: tuple[LiveRule, ...]
    waiting: tuple[str, ...]


async def wait_until_evaluated(
    client: Watchable,
    groups: Sequence[RuleGroup],
    *,
    within_seconds: float,
    looked: Callable[[int, int], None],
) -> Evaluated:
    """Wait for the first evaluation of rules since they were written; those that are paused are not waited for.

    Args:
        client: of Grafana.
        groups: as they were read after they were written.
        within_seconds: how long at most.
        looked: told after each look how many of how many rules are evaluated.
    """
    rules = {str(rule.get("uid")): rule for group in groups for rule in group.rules if not rule.get("isPaused")}
    folders = sorted({group.folder_uid for group in groups})
    pause_seconds = FIRST_PAUSE_SECONDS
    until = asyncio.get_running_loop().time() + within_seconds
    while True:
        live = [rule for folder_uid in folders for rule in await client.live_rules(folder_uid)]
        evaluated = [one for one in live if one.uid in rules and _is_evaluated(one, rules[one.uid])]
        looked(len(evaluated), len(rules))
        if len(evaluated) >= len(rules) or asyncio.get_running_loop().time() >= until:
            return _sorted_out(evaluated, rules)
        await asyncio.sleep(pause_seconds)
        pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)


def _is_evaluated(live: LiveRule, rule: Mapping[str, object]) -> bool:
    """Tell whether the last evaluation came after the last write: both are times of Grafana's own clock."""
    if not live.last_evaluation:
        return False
    updated = rule.get("updated")
    if not isinstance(updated, str):
        return True
    # The live state is told in whole seconds.
    return _moment(live.last_evaluation) > _moment(updated).replace(microsecond=0)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _sorted_out(evaluated: Iterable[LiveRule], rules: Mapping[str, Mapping[str, object]]) -> Evaluated:
    found = {one.uid: one for one in evaluated}
    failing = tuple(one for one in found.values() if one.health == "error")
    working = tuple(one for one in found.values() if one.health != "error")
    return Evaluated(working, failing, tuple(str(rule.get("title")) for uid, rule in rules.items() if uid not in found))
