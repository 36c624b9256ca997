"""What the tests of errors and logging share: global logging state kept, and counts read."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import structlog

from otel_monitoring.catalogue.shipped import SYSTEM_ERRORS

if TYPE_CHECKING:
    from collections.abc import Generator

    from otel_monitoring.metrics import Distribution, Registry


def errors_of(registry: Registry) -> dict[tuple[str, str], float | Distribution]:
    """Return what ``system_errors_total`` holds, by error type and component."""
    return {
        (point.labels["error_type"], point.labels["component"]): point.value
        for point in registry.snapshot().points()
        if point.metric is SYSTEM_ERRORS
    }


@contextmanager
def kept_logging() -> Generator[None]:
    """Give structlog its defaults, and put all that logging and structlog know back afterwards."""
    root = logging.getLogger()
    handlers, level, logger_class = root.handlers.copy(), root.level, logging.getLoggerClass()
    config, configured = structlog.get_config(), structlog.is_configured()
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.setLoggerClass(logger_class)
        structlog.contextvars.clear_contextvars()
        structlog.reset_defaults()
        if configured:
            structlog.configure(**config)


def bare_root() -> logging.Logger:
    """Take every handler from the root logger, and return it.

    pytest puts its own there anew for each phase of each test; they raise what a
    StreamHandler only prints, and make the root logger look configured.
    """
    root = logging.getLogger()
    root.handlers.clear()
    return root


def fail(exception: BaseException) -> NoReturn:
    """Raise an exception, as the application's code does."""
    raise exception
