"""What is said once when an application starts: what is instrumented, what is not, what would change that."""

from __future__ import annotations

import shlex
import sys
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING

from otel_monitoring.zero_code.instrumentors import GROUP
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
        yield _line("to add them", [f"{_installer()} {' '.join(sorted({*lacking.values(), *_of_one_release()}))}"])


def _installer() -> str:
    """Return what installs into the environment of this process; those that uv makes have no pip."""
    python = shlex.quote(sys.executable)
    return f"uv pip install --python {python}" if find_spec("pip") is None else f"{python} -m pip install"


def _of_one_release() -> set[str]:
    """Return what is installed and works only with instrumentors of the same release.

    Each instrumentor requires its siblings' exact version, and pip looks after none that it is
    not told of: it would put newer parts below an SDK that they do not fit.
    """
    siblings = {entry.dist.name for entry in entry_points(group=GROUP) if entry.dist is not None}
    return {name for name in siblings if name.startswith(PACKAGE.format(""))} | {"opentelemetry-sdk"}


def _installed(libraries: Iterable[str], disabled: Collection[str]) -> list[str]:
    return [
        f"{library} {there}"
        for library in libraries
        if library not in disabled and "*" not in disabled and (there := installed_version(library)) is not None
    ]


def _line(about: str, names: Iterable[str]) -> str:
    return f"  {about:<18}{', '.join(names) or 'none'}"
