"""The path at which an application shows its metrics."""

from __future__ import annotations

import re
from typing import TypeVar

from otel_monitoring.exceptions import ConfigurationError

A = TypeVar("A")


def checked_path(metrics_path: str) -> str:
    """Return the path without a slash at its end.

    Raises:
        ConfigurationError: it is none that can be asked for.
    """
    path = metrics_path.rstrip("/")
    if not path.startswith("/") or re.search(r"[{}<>?#\s]", path):
        raise ConfigurationError((f"metrics_path is {metrics_path!r}: a plain path such as '/metrics'",))
    return path


def given_metrics(metrics_app: A | None, metrics_path: str) -> A:
    """Return what answers there.

    Raises:
        ConfigurationError: nothing does.
    """
    if metrics_app is None:
        raise ConfigurationError((f"metrics_path is {metrics_path!r}, and no metrics_app is given to answer there",))
    return metrics_app


def refuse_taken(path: str, template: str) -> None:
    """Let the metrics not hide what the application has at their very path.

    Raises:
        ConfigurationError: the template of one of its routes is this path.
    """
    if template.rstrip("/") == path:
        raise ConfigurationError(
            (f"metrics_path is {path!r}, where the application has a route of its own: choose another path",)
        )
