"""Where settings come from: keywords, the dictionary, the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast
from urllib.parse import unquote

from otel_monitoring.catalogue.names import nearest
from otel_monitoring.settings.kinds import items_of
from otel_monitoring.settings.shown import cut

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from otel_monitoring.settings.about import About

PREFIX = "OTEL_MONITORING_"


@dataclass(frozen=True, slots=True)
class Sources:
    """Where values come from, the strongest first.

    Args:
        keywords: by name.
        config: the dictionary, as it was given.
        environ: the environment.
        known: the names of all settings.
    """

    keywords: Mapping[str, object]
    config: object
    environ: Mapping[str, str]
    known: Collection[str]

    def unknown(self) -> Iterator[str]:
        """Say which names are none of ours, and which one was perhaps meant."""
        for keyword in self.keywords:
            if keyword not in self.known:
                yield f"keyword {cut(keyword)}: there is no such setting{self._nearest(keyword)}"
        if self.config is not None and not isinstance(self.config, Mapping):
            yield f"config: a {type(self.config).__name__} is not a dictionary"
        for key in self._dictionary():
            if key not in self.known:
                yield f"dictionary key {cut(key)}: there is no such setting{self._nearest(key)}"
        variables = {PREFIX + name.upper() for name in self.known}
        for variable, given in self.environ.items():
            if variable.startswith(PREFIX) and variable not in variables and not _is_blank(given):
                yield f"environment variable {cut(variable)}: there is no such setting{self._nearest(variable, PREFIX)}"

    def given(self, name: str, about: About) -> Iterator[tuple[str, object]]:
        """Go through the values given for one setting: (place, value).

        All that is meant for us is looked at, so that a mistake shows even where it is
        overridden; OpenTelemetry's variables, which others read too, only where they count.
        """
        variable = PREFIX + name.upper()
        ours = (
            (f"keyword {name!r}", self.keywords.get(name)),
            (f"dictionary key {name!r}", self._dictionary().get(name)),
            (f"environment variable {variable}", self.environ.get(variable)),
        )
        found = [(place, value) for place, value in ours if not _is_blank(value)]
        yield from found or self._of_opentelemetry(about)

    def says(self, name: str) -> bool:
        """Tell whether code gives a setting; what the environment gives may wait there for a command's options."""
        return not _is_blank(self.keywords.get(name)) or not _is_blank(self._dictionary().get(name))

    def _of_opentelemetry(self, about: About) -> Iterator[tuple[str, object]]:
        for variable in about.variables:
            place, _, attribute = variable.partition(" ")
            text = self.environ.get(place)
            value = _attribute(text, attribute.strip("()")) if attribute and text else text
            if not _is_blank(value):
                yield f"environment variable {place}", value
                return

    def _dictionary(self) -> Mapping[object, object]:
        return cast("Mapping[object, object]", self.config) if isinstance(self.config, Mapping) else {}

    def _nearest(self, key: object, prefix: str = "") -> str:
        if not isinstance(key, str):
            return ""
        # Without the prefix, which all have in common and which would make any two names look alike.
        found = nearest(key.lower().removeprefix(PREFIX.lower()), self.known)
        if found is None:
            return ""
        meant = prefix + found.upper() if prefix else found
        return f"; did you mean {meant!r}?"


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _attribute(text: str, name: str) -> str | None:
    """Find one of OpenTelemetry's resource attributes; what else is there is not ours to check."""
    pairs = (item.partition("=") for item in items_of(text))
    return next((unquote(content.strip()) for key, _, content in pairs if key.strip() == name), None)
