"""Our processors in the application's structlog configuration."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import structlog
from structlog.contextvars import merge_contextvars
from structlog.processors import EventRenamer, JSONRenderer, add_log_level, format_exc_info
from structlog.stdlib import filter_by_level

from otel_monitoring.errors import Corridor, CountErrors
from otel_monitoring.logs.chain import install, processors
from otel_monitoring.logs.processors import AddTraceContext, ReportErrors
from otel_monitoring.metrics import Registry
from tests.logging_state import errors_of

if TYPE_CHECKING:
    from structlog.typing import Processor


pytestmark = pytest.mark.usefixtures("kept")


@pytest.fixture
def corridor(registry: Registry) -> Corridor:
    return Corridor(registry.incidents, [CountErrors(registry)])


def in_force() -> list[Processor]:
    chain: list[Processor] = structlog.get_config()["processors"]
    return chain


RENDER = JSONRenderer()
RENAME = EventRenamer("message")


@pytest.mark.parametrize(
    ("chain", "place"),
    [
        ([RENDER], 0),
        ([merge_contextvars, add_log_level, RENDER], 1),
        ([add_log_level, merge_contextvars, RENDER], 2),
        ([filter_by_level, add_log_level, RENDER], 1),
        ([merge_contextvars, add_log_level, filter_by_level, RENDER], 3),
        ([format_exc_info, merge_contextvars, RENDER], 0),
        ([merge_contextvars, format_exc_info, filter_by_level, RENDER], 1),
        ([RENAME, merge_contextvars, RENDER], 0),
    ],
)
def test_they_stand_behind_what_completes_events_and_before_what_takes_from_them(
    corridor: Corridor, chain: list[Processor], place: int
) -> None:
    structlog.configure(processors=list(chain))
    uninstall = install(corridor, "service")
    assert [type(processor) for processor in in_force()[place : place + 2]] == [AddTraceContext, ReportErrors]
    assert in_force()[:place] + in_force()[place + 2 :] == chain
    uninstall()
    assert in_force() == chain


def test_loggers_that_were_bound_or_cached_before_report_too(corridor: Corridor, registry: Registry) -> None:
    structlog.configure(processors=[merge_contextvars, RENDER], cache_logger_on_first_use=True)
    cached, bound = structlog.get_logger(), structlog.get_logger().bind(component="sender")
    cached.info("first use")
    uninstall = install(corridor, "service")
    cached.error("x")
    bound.error("x")
    uninstall()
    cached.error("x")
    assert errors_of(registry) == {("log_error", "service"): 1, ("log_error", "sender"): 1}


def test_a_chain_given_as_a_tuple_is_extended_and_the_rest_of_the_configuration_stays(
    corridor: Corridor, registry: Registry
) -> None:
    wrapper = structlog.make_filtering_bound_logger(logging.ERROR)
    structlog.configure(processors=(merge_contextvars, RENDER), wrapper_class=wrapper)
    uninstall = install(corridor, "service")
    structlog.get_logger().error("x")
    assert errors_of(registry) == {("log_error", "service"): 1}
    assert structlog.get_config()["wrapper_class"] is wrapper
    uninstall()
    assert in_force() == [merge_contextvars, RENDER]


def test_structlogs_defaults_stay_defaults(corridor: Corridor) -> None:
    before = in_force().copy()
    uninstall = install(corridor, "service")
    assert not structlog.is_configured()
    uninstall()
    assert in_force() == before
    assert not structlog.is_configured()


def test_installing_again_adds_nothing_and_takes_nothing_back(corridor: Corridor, registry: Registry) -> None:
    install(corridor, "service")
    install(corridor, "service")()
    structlog.get_logger().error("x")
    assert errors_of(registry) == {("log_error", "service"): 1}


def test_each_service_leaves_with_its_own_processors_only(corridor: Corridor, registry: Registry) -> None:
    other_registry = Registry(strict=True)
    other = Corridor(other_registry.incidents, [CountErrors(other_registry)])
    before = in_force().copy()
    uninstall, uninstall_other = install(corridor, "service"), install(other, "other")
    uninstall()
    structlog.get_logger().error("x")
    assert errors_of(registry) == {}
    assert errors_of(other_registry) == {("log_error", "other"): 1}
    uninstall_other()
    assert in_force() == before


def test_an_application_that_configures_afterwards_puts_them_in_itself(corridor: Corridor, registry: Registry) -> None:
    install(corridor, "service")
    structlog.configure(processors=[merge_contextvars, *processors(corridor, "service"), RENDER])
    install(corridor, "service")
    structlog.get_logger().error("x")
    assert errors_of(registry) == {("log_error", "service"): 1}


def test_a_configuration_that_came_afterwards_is_extended_by_installing_again(
    corridor: Corridor, registry: Registry
) -> None:
    uninstall = install(corridor, "service")
    chain: list[Processor] = [merge_contextvars, RENDER]
    structlog.configure(processors=chain)
    install(corridor, "service")
    structlog.get_logger().error("x")
    assert errors_of(registry) == {("log_error", "service"): 1}
    uninstall()
    assert any(isinstance(processor, ReportErrors) for processor in chain)
