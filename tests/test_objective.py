"""Objectives: what they refuse and why, and how they are declared beside functions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from otel_monitoring import Latency, MonitoringService, Objective
from otel_monitoring.catalogue.objective import DeclaredObjective, Objectives, budget_of
from otel_monitoring.exceptions import DeclarationError
from otel_monitoring.grafana.shipped_rules import shipped_groups
from tests.logging_state import kept_logging

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

OFTEN = Objective(success=0.99)
FAST = Latency(seconds=2.5, share=0.95)


@pytest.fixture
def monitoring() -> Iterator[MonitoringService]:
    with kept_logging(), MonitoringService(third_party=False, service_name="outreach", strict=True) as service:
        yield service


def refusal(**given: Any) -> str:
    with pytest.raises(DeclarationError) as caught:
        Objective(**given)
    return str(caught.value)


@pytest.mark.parametrize("share", [0, 1, 1.5, -0.1, "0.99", None, True, float("nan")])
def test_a_share_is_above_nothing_and_below_everything(share: Any) -> None:
    with pytest.raises(DeclarationError, match=r"latency share is .*: a share above 0 and below 1"):
        Latency(seconds=2.5, share=share)


def test_an_objective_whose_budget_cannot_burn_fast_enough_is_refused_with_what_can() -> None:
    """At 0.9 all that fails is ten times the budget, so that an alert for 14.4 times never fires."""
    message = refusal(success=0.9)
    assert "burns 10 times too fast where everything fails" in message
    assert "the alert for 14.4 times could never fire: a share above 0.9306" in message
    assert Objective(success=0.9306).success == 0.9306


@pytest.mark.parametrize("seconds", [300, 3, 0, -1, "2.5", None, float("inf")])
def test_a_latency_is_a_bucket_below_the_highest(seconds: Any) -> None:
    with pytest.raises(DeclarationError) as caught:
        Latency(seconds=seconds, share=0.95)
    assert f"latency seconds is {seconds!r}: a bound of a bucket below the highest, such as " in str(caught.value)


def test_the_nearest_bucket_is_named() -> None:
    with pytest.raises(DeclarationError, match=r"such as 2\.5, of 0\.005, "):
        Latency(seconds=3, share=0.95)


def test_an_objective_says_something() -> None:
    assert "it says nothing: give success=0.99" in refusal()


def test_a_latency_is_not_a_number_alone() -> None:
    assert "latency is 2.5: write Latency(seconds=2.5, share=0.95)" in refusal(latency=2.5)


@pytest.mark.parametrize(("share", "budget"), [(0.99, 0.01), (0.9999999, 1e-7), (0.95, 0.05), (0.999, 0.001)])
def test_a_budget_is_what_decimal_fractions_leave(share: float, budget: float) -> None:
    assert budget_of(share) == budget


def test_each_kind_of_operation_declares_its_objective(monitoring: MonitoringService) -> None:
    """Decorators with a name, without one, agents, tools and blocks: each is known by operation and component."""

    @monitoring.operation("draft", component="writer", objective=Objective(success=0.99, latency=FAST))
    async def draft() -> AsyncIterator[str]:
        yield "piece"

    @monitoring.operation(objective=OFTEN)
    def score() -> None: ...

    @monitoring.agent("finder", objective=OFTEN)
    async def find() -> None: ...

    @monitoring.tool("search", component="web", objective=Objective(latency=FAST))
    def search() -> None: ...

    with monitoring.operation("send", component="sender", objective=OFTEN):
        pass
    assert list(monitoring.objectives) == [
        DeclaredObjective("finder", "outreach", OFTEN),
        DeclaredObjective("score", "outreach", OFTEN),
        DeclaredObjective("send", "sender", OFTEN),
        DeclaredObjective("search", "web", Objective(latency=FAST)),
        DeclaredObjective("draft", "writer", Objective(success=0.99, latency=FAST)),
    ]
    assert asyncio.run(collected(draft())) == ["piece"]


async def collected(stream: AsyncIterator[str]) -> list[str]:
    return [piece async for piece in stream]


def test_a_block_may_be_entered_again_and_again(monitoring: MonitoringService) -> None:
    for _ in range(3):
        with monitoring.operation("send", objective=OFTEN):
            pass
    assert len(monitoring.objectives) == 1


def test_an_operation_promises_one_thing(monitoring: MonitoringService) -> None:
    monitoring.operation("send", objective=OFTEN)
    with pytest.raises(DeclarationError, match=r"the objective of the operation 'send' of 'outreach' was .*0.99.* now"):
        monitoring.operation("send", objective=Objective(success=0.999))


def test_what_is_no_objective_is_refused_where_it_is_declared(monitoring: MonitoringService) -> None:
    with pytest.raises(DeclarationError, match=r"is 0\.99: write Objective\(success=0\.99\)"):
        monitoring.operation("send", objective=0.99)  # type: ignore[call-overload]


def test_an_objective_is_found_by_its_operation(monitoring: MonitoringService) -> None:
    monitoring.operation("send", component="sender", objective=OFTEN)
    assert monitoring.objectives.of("send", "sender") == OFTEN
    with pytest.raises(LookupError, match="'sent' of 'sender' has no objective; did you mean 'sender/send'"):
        monitoring.objectives.of("sent", "sender")


def test_rules_are_generated_for_what_was_declared(monitoring: MonitoringService) -> None:
    monitoring.operation("send", component="sender", objective=Objective(success=0.999, latency=FAST))
    groups = {group.name: group for group in shipped_groups(objectives=monitoring.objectives, job="outreach")}
    alerts = groups["otel_monitoring.alerts.objectives"].alerts
    assert [alert.name for alert in alerts] == ["OperationErrorBudgetBurn"] * 4 + ["OperationLatencyBudgetBurn"] * 4
    budgets = [record for record in groups["otel_monitoring.objectives"].records if record.name.endswith("budget")]
    whose = {"job": "outreach", "component": "sender", "operation": "send"}
    assert [(record.expr, record.labels) for record in budgets] == [("vector(0.001)", whose), ("vector(0.05)", whose)]


def test_objectives_can_be_put_together_by_hand() -> None:
    objectives = Objectives([DeclaredObjective("send", "sender", OFTEN)])
    assert len(objectives) == 1
