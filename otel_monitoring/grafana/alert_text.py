"""The texts of alerts: written once, in the language of Prometheus's templates, rendered for it and for Grafana.

Beside ``$labels`` and ``$value`` a text may name ``$reference``, the value of another series for the same
labels, for instance the threshold that was in force.  Prometheus asks for it from within the text; Grafana, whose
templates cannot, gets it from a second query of the rule.

https://prometheus.io/docs/prometheus/latest/configuration/template_reference/
https://grafana.com/docs/grafana/latest/alerting/alerting-rules/templates/
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ACTION = re.compile(r"""\{\{-?((?:"(?:[^"\\]|\\.)*"|`[^`]*`|[^"`])*?)-?\}\}""", re.DOTALL)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"|`[^`]*`')
_VARIABLE = re.compile(r"\$(\w*)")
_LABEL = re.compile(r"(?:\$labels|(?<![\w)])\.Labels)\.(\w+)")
_INDEXED = re.compile(r'index\s+\$labels\s+"(\w+)"')
_DEFINED = re.compile(r"\$(\w+)\s*(?:,\s*\$(\w+)\s*)?:?=")
_REFERENCE = re.compile(r"\s*\$reference\s*(\|.*)?", re.DOTALL)
_OPENS = frozenset({"if", "with", "range", "define", "block"})
_KNOWN = frozenset({"labels", "value", "reference", "externalLabels", "externalURL", ""})
_NOT_IN_GRAFANA = {
    r"\bquery\b": "name the series as the alert's reference, and $reference in the text",
    r"\$externalLabels\b": "leave them out",
    r"\$externalURL\b": "write {{ externalURL }}",
    r"(?<![\w$.)])\.Value\b": "write $value",
}
"""What Prometheus's templates know and Grafana's do not, and what to write instead."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Another series, whose value for the alert's own labels a text may name as ``$reference``.

    Args:
        series: its name.
        labels: those by which it belongs to the alert; both carry them.
    """

    series: str
    labels: tuple[str, ...] = ()


def labels_named(text: str) -> tuple[str, ...]:
    """Return the labels that a text names."""
    actions = [one[1] for one in _ACTION.finditer(text)]
    named = [name for action in actions for pattern in (_LABEL, _INDEXED) for name in pattern.findall(action)]
    return tuple(dict.fromkeys(named))


def text_problems(text: str, reference: Reference | None) -> Iterator[str]:
    """Say what is wrong with a text as a template."""
    actions = [one[1].strip() for one in _ACTION.finditer(text)]
    left = _ACTION.sub("", text)
    if "{{" in left or "}}" in left:
        yield "a {{ has no }}, or the other way round"
    yield from _nesting_problems(actions)
    defined = {name for action in actions for pair in _DEFINED.findall(action) for name in pair}
    for name in sorted({name for action in actions for name in _VARIABLE.findall(_QUOTED.sub("", action))}):
        if name not in _KNOWN | defined:
            yield f"there is no ${name}: an alert's texts know $labels, $value and $reference"
    for action in actions:
        if "$reference" in action and reference is None:
            yield "it names $reference, and the alert has none: give reference=Reference(series, labels)"
        elif "$reference" in action and not _REFERENCE.fullmatch(action):
            yield f"{{{{ {action} }}}}: $reference stands at the beginning, as in {{{{ $reference | humanize }}}}"


def _nesting_problems(actions: list[str]) -> Iterator[str]:
    depth = 0
    for action in actions:
        word = action.split(maxsplit=1)[0] if action else ""
        if not action:
            yield "{{ }} is empty"
        depth += (word in _OPENS) - (word == "end")
        if depth < 0:
            yield "an {{ end }} ends nothing"
            return
    if depth:
        yield "an {{ if }}, {{ with }} or {{ range }} has no {{ end }}"


def for_prometheus(text: str, reference: Reference | None) -> str:
    """Return a text as Prometheus's templates want it."""

    def rendered(action: re.Match[str]) -> str:
        named = _REFERENCE.fullmatch(action[1])
        if named is None or reference is None:
            return action[0]
        return f"{{{{ with {_asked(reference)} }}}}{{{{ . | first | value {named[1] or ''}".rstrip() + " }}{{ end }}"

    return _ACTION.sub(rendered, text)


def _asked(reference: Reference) -> str:
    """Return the query for a reference; ``%q`` quotes whatever a label holds as PromQL wants it."""
    if not reference.labels:
        return f'query "{reference.series}"'
    matchers = ",".join(f"{label}=%q" for label in reference.labels)
    values = " ".join(f"$labels.{label}" for label in reference.labels)
    return f'printf "{reference.series}{{{matchers}}}" {values} | query'


def for_grafana(text: str) -> str:
    """Return a text as Grafana's templates want it, where query A is the alert's and T the reference.

    ``$value`` is text there, made for debugging.

    Raises:
        ValueError: it names what Grafana's templates do not know, or accept and answer with nothing.
    """
    for action in _ACTION.finditer(text):
        for pattern, instead in _NOT_IN_GRAFANA.items():
            if re.search(pattern, _QUOTED.sub("", action[1])):
                raise ValueError(f"{action[0]}: Grafana's templates cannot tell that: {instead}")

    def rendered(action: re.Match[str]) -> str:
        named = _REFERENCE.fullmatch(action[1])
        if named is not None:
            return f"{{{{ with $values.T }}}}{{{{ .Value {named[1] or ''}".rstrip() + " }}{{ end }}"
        return re.sub(r"\$value\b", "$values.A.Value", action[0])

    return _ACTION.sub(rendered, text)
