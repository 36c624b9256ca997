"""The series that a query may name: what each is, and which labels it has."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from otel_monitoring.catalogue import OVERFLOW_LABEL, Kind
from otel_monitoring.catalogue.names import ALIKE, nearest
from otel_monitoring.catalogue.query_parts import TARGET_LABELS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from otel_monitoring.catalogue import Catalogue, Declaration

PLACE_LABELS = frozenset({"cluster", "container", "env", "environment", "namespace", "node", "pod", "region", "zone"})
"""What service discovery usually adds as well; a query may ask for them though nobody declares them."""

FOREIGN = (
    "up",
    "ALERTS",
    "ALERTS_FOR_STATE",
    "target_info",
    "scrape_*",
    "prometheus_*",
    "alertmanager_*",
    "pushgateway_*",
    "push_time_seconds",
    "push_failure_time_seconds",
    "grafana_*",
)
"""What Prometheus and its neighbours say of themselves."""


class Role(Enum):
    """What a series is to a query."""

    COUNTER = auto()
    BUCKET = auto()
    GAUGE = auto()
    UNKNOWN = auto()


_ROLES = {"_total": Role.COUNTER, "_bucket": Role.BUCKET, "_sum": Role.COUNTER, "_count": Role.COUNTER}


@dataclass(frozen=True, slots=True)
class Series:
    """All series of one name.

    Attributes:
        name: as a query selects it.
        role: what it is to a query.
        labels: those that it can have; None where nobody knows.
        declaration: its metric, None where it is of none in the catalogue.
    """

    name: str
    role: Role
    labels: frozenset[str] | None
    declaration: Declaration | None = None


class KnownSeries:
    """Everything that a query may name.

    Args:
        catalogue: what is declared.
        recorded: the series that recording rules make, with their labels.
        foreign: names of others' metrics, beside those that the catalogue allows.
    """

    def __init__(
        self, catalogue: Catalogue, *, recorded: Mapping[str, frozenset[str]], foreign: Iterable[str] = ()
    ) -> None:
        self._catalogue = catalogue
        self._recorded = recorded
        self._foreign = (*FOREIGN, *catalogue.foreign_metrics, *foreign)

    def find(self, name: str) -> Series | None:
        """Return what a query selects by a name, None where there is nothing of that name."""
        if name in self._recorded:
            return Series(name, Role.UNKNOWN, self._recorded[name])
        declaration = self._catalogue.find(name)
        if declaration is not None and name in shown_names(declaration):
            return _declared(name, declaration, self._catalogue.target_labels)
        if any(fnmatchcase(name, pattern) for pattern in self._foreign):
            return Series(name, Role.UNKNOWN, None)
        return None

    def labels_of(self, name: str) -> frozenset[str] | None:
        """Return the labels that the series of a name can have, None where nobody knows."""
        series = self.find(name)
        return None if series is None else series.labels

    def missing(self, name: str) -> str:
        """Say that there is nothing of a name, and what would be right."""
        declaration = self._catalogue.find(name)
        if declaration is None and name.endswith(("_total", "_bucket", "_sum", "_count", "_created")):
            declaration = self._catalogue.find(name.rpartition("_")[0])
        if declaration is not None:
            kind = declaration.kind.value.replace("_", "-")
            return f"{declaration.prometheus_name} is a {kind} and has no series {name!r}: use {_usual(declaration)}"
        found = self.nearest(name)
        return f"there is no metric {name!r}" + (f"; did you mean {found!r}?" if found else "")

    def nearest(self, name: str, *, alike: float = ALIKE) -> str | None:
        """Return the name that looks most like another, None where none comes close.

        Args:
            name: that is not there.
            alike: how close it must come, from 0 to 1.
        """
        return nearest(name, self._names(), alike=alike)

    def _names(self) -> Iterator[str]:
        for declaration in self._catalogue:
            yield from shown_names(declaration)
        yield from self._recorded
        yield from (pattern for pattern in self._foreign if "*" not in pattern)


def shown_names(declaration: Declaration) -> tuple[str, ...]:
    """Return the names of a metric's series, as a query selects them."""
    return tuple(declaration.base_name + suffix for suffix in declaration.kind.sample_suffixes)


def _declared(name: str, declaration: Declaration, target_labels: frozenset[str]) -> Series:
    own = frozenset(declaration.prometheus_labels)
    role = _role(name, declaration)
    if role is Role.BUCKET:
        own |= {"le"}
    given = target_labels.union(TARGET_LABELS, PLACE_LABELS)
    renamed = frozenset(f"exported_{label}" for label in (*own, *TARGET_LABELS))
    return Series(name, role, own | given | renamed | {OVERFLOW_LABEL, "__name__"}, declaration)


def _role(name: str, declaration: Declaration) -> Role:
    if declaration.kind in {Kind.GAUGE, Kind.UP_DOWN_COUNTER}:
        return Role.GAUGE
    return _ROLES.get(name.removeprefix(declaration.base_name), Role.GAUGE)  # _created is a time


def _usual(declaration: Declaration) -> str:
    names = [name for name in shown_names(declaration) if not name.endswith("_created")]
    return " or ".join(map(repr, names))
