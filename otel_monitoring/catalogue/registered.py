"""The catalogue: every metric that may be recorded, under both of its names."""

from __future__ import annotations

import threading
from dataclasses import fields
from typing import TYPE_CHECKING

from otel_monitoring.catalogue.names import nearest
from otel_monitoring.exceptions import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from otel_monitoring.catalogue.declaration import Declaration


class Catalogue:
    """A set of declarations in which no two show the same name in Prometheus.

    Attributes:
        foreign_metrics: names of metrics that others record and that queries may name too;
            ``*`` stands for any text.
        target_labels: labels that Prometheus gives to all that it scrapes from us, beside
            ``job`` and ``instance``.
    """

    def __init__(self) -> None:
        self.foreign_metrics: tuple[str, ...] = ()
        self.target_labels: frozenset[str] = frozenset()
        self._lock = threading.RLock()
        self._by_name: dict[str, Declaration] = {}
        self._by_sample_name: dict[str, Declaration] = {}

    def __iter__(self) -> Iterator[Declaration]:
        """Go through the declarations in the order in which they were made."""
        return iter(tuple(self._by_name.values()))

    def __len__(self) -> int:
        """Return how many metrics are declared."""
        return len(self._by_name)

    def declare(self, declaration: Declaration) -> Declaration:
        """Add a declaration, or return the equal one that is there.

        Raises:
            DeclarationError: the name is declared differently, or a name that it would
                show in Prometheus is shown by another metric.
        """
        with self._lock:
            there = self._by_name.get(declaration.name)
            if there is not None:
                if there != declaration:
                    raise DeclarationError(_difference(there, declaration))
                return there
            self._refuse_collision(declaration)
            self._by_name[declaration.name] = declaration
            self._by_sample_name.update(dict.fromkeys(declaration.sample_names, declaration))
            return declaration

    def allow(self, *, metrics: Iterable[str] = (), labels: Iterable[str] = ()) -> None:
        """Let queries name what is not declared here.

        Args:
            metrics: names of others' metrics; ``*`` stands for any text, as in ``node_*``.
            labels: what Prometheus adds to our series, as in ``team``.
        """
        with self._lock:
            self.foreign_metrics = (*self.foreign_metrics, *metrics)
            self.target_labels = self.target_labels.union(labels)

    def find(self, name: str) -> Declaration | None:
        """Return the metric of an OpenTelemetry or a Prometheus name (also ``…_bucket``)."""
        return self._by_name.get(name) or self._by_sample_name.get(name)

    def nearest(self, name: str) -> str | None:
        """Return the known name, of either form, that looks most like the given one."""
        families = (declaration.prometheus_name for declaration in self)
        return nearest(name, {*self._by_name, *families})

    def _refuse_collision(self, declaration: Declaration) -> None:
        for name in sorted(declaration.sample_names):
            there = self._by_sample_name.get(name)
            if there is not None:
                raise DeclarationError(
                    f"metric {declaration.name!r}: in Prometheus it would show {name!r}, which "
                    f"{there.name!r} ({there.prometheus_name}) shows already: choose another name, "
                    f"such as {declaration.name + '_other'!r}, or use {there.name!r}"
                )


def _difference(there: Declaration, new: Declaration) -> str:
    changes = "; ".join(
        f"{field.name} was {getattr(there, field.name)!r} and is now {getattr(new, field.name)!r}"
        for field in fields(new)
        if field.init and getattr(there, field.name) != getattr(new, field.name)
    )
    return f"metric {new.name!r} is declared already, differently: {changes}: use the first declaration or another name"
