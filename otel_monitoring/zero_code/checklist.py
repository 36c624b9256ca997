"""What is said once when an application starts: what is instrumented, what is not, what would change that."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from otel_monitoring.zero_code.libraries import (
    CLIENTS,
    FRAMEWORKS,
    INSTRUMENTED_BY_OTHERS,
    PACKAGE,
    installed_version,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from otel_monitoring.settings import Settings
    from otel_monitoring.zero_code.instrumentors import Enabled

SILENCE = "silence this with --quiet or OTEL_MONITORING_ZERO_CODE_CHECKLIST=false"


def checklist(settings: Settings, enabled: Enabled, *, url: str | None) -> Iterator[str]:
    """Go through the lines of the checklist.

    Args:
        settings: of the service.
        enabled: what has become of OpenTelemetry's instrumentors.
        url: where the metrics are served; None where they are not.
    """
    yield f"service {settings.service_name!r}, metrics {f'at {url}' if url else 'not served by this process'}"
    if settings.service_name == "unknown_service":
        yield _line("unnamed", ["give it a name with OTEL_SERVICE_NAME"])
    disabled = settings.disabled_instrumentations
    yield _line("web applications", _installed(FRAMEWORKS, disabled))
    yield _line("HTTP clients", _installed(CLIENTS, disabled))
    yield _line("by OpenTelemetry", enabled.names)
    yield from (_line("not instrumented", [f"{name}: {reason}"]) for name, reason in enabled.refused.items())
    off = sorted({*enabled.disabled, *disabled})
    if off:
        yield _line("switched off", off)
    yield from _missing(disabled)
    yield f"  {SILENCE}"


def _missing(disabled: Collection[str]) -> Iterator[str]:
    """Say which libraries are installed without what would instrument them."""
    lacking = {
        f"{library} {there}": PACKAGE.format(name)
        for library, name in INSTRUMENTED_BY_OTHERS.items()
        if name not in disabled
        and "*" not in disabled
        and (there := installed_version(library)) is not None
        and installed_version(PACKAGE.format(name)) is None
    }
    if lacking:
        yield _line("not yet", lacking)
        yield _line("to add them", [f"{sys.executable} -m pip install {' '.join(sorted(set(lacking.values())))}"])


def _installed(libraries: Iterable[str], disabled: Collection[str]) -> list[str]:
    return [
        f"{library} {there}"
        for library in libraries
        if library not in disabled and "*" not in disabled and (there := installed_version(library)) is not None
    ]


def _line(about: str, names: Iterable[str]) -> str:
    return f"  {about:<18}{', '.join(names) or 'none'}"
