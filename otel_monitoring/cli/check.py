"""``otel-monitoring check``: whether metrics, dashboards, alerts and documents agree."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from otel_monitoring.catalogue.thresholds import Thresholds
from otel_monitoring.cli.harmless import one_line
from otel_monitoring.cli.output import standard_output
from otel_monitoring.exceptions import MonitoringError
from otel_monitoring.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from otel_monitoring.grafana.agreement import Agreement
    from otel_monitoring.grafana.documents import Document

INSTALLED = frozenset({"node_modules", "site-packages"})
USUAL_DOCUMENTS = ("README.md", "docs")


def run_check(service: str | None, documents: tuple[Path, ...]) -> bool:
    """Print what does not agree and a line that sums up; return whether all agrees.

    Args:
        service: the application's service, as ``module:name``; None is what comes with the package.
        documents: files and folders to read beside the usual ones of the current folder.

    Raises:
        MonitoringError: there is no such service or document.
    """
    agreement = _agreement(service, documents)
    with standard_output() as console:
        for problem in agreement.problems:
            console.print(one_line(problem), soft_wrap=True)
        console.print(agreement.summary, soft_wrap=True)
    return not agreement.problems


def _agreement(service: str | None, documents: tuple[Path, ...]) -> Agreement:
    from otel_monitoring.cli.grafana_content import Choice, subject_of
    from otel_monitoring.grafana.agreement import agreement_of

    content = subject_of(Choice(service=service)).content
    return agreement_of(
        content.catalogue, content.dashboards, content.groups, _read(documents), not_metrics=_other_names()
    )


def _read(documents: tuple[Path, ...]) -> tuple[Document, ...]:
    from otel_monitoring.grafana.documents import read_documents

    here = Path.cwd()
    for path in documents:
        if not path.exists():
            raise MonitoringError(f"there is no document {str(path)!r}: name a file or a folder with --document")
    usual = [here / name for name in USUAL_DOCUMENTS if (here / name).exists()]
    paths = dict.fromkeys(path.resolve() for path in _files((*usual, *documents)))
    try:
        return read_documents(paths, root=here.resolve())
    except OSError as error:
        raise MonitoringError(f"{error.filename} cannot be read ({error.strerror})") from None


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            found = sorted(path.rglob("*.md"))
            yield from (one for one in found if not _is_others(one.relative_to(path)))
        else:
            yield path


def _is_others(path: Path) -> bool:
    """Tell whether a document lies in a hidden folder, such as an environment's, or among installed packages."""
    return any(part.startswith(".") or part in INSTALLED for part in path.parts)


def _other_names() -> frozenset[str]:
    """Return names that end as metrics do and are none: settings and thresholds."""
    return frozenset((*(row.name for row in Settings.table()), *(row.name for row in Thresholds.table())))
