"""Finds the selectors in a PromQL text, and narrows them to what a dashboard's variables select.

A parser gives a tree and takes the text away, and Grafana's variables are no PromQL; so
the selectors are found among the words of the text, which stays as it was written.
https://prometheus.io/docs/prometheus/latest/querying/basics/
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SCOPE = ("job", "instance")
"""The labels that Prometheus gives each series that it scrapes."""

_WORD = re.compile(
    r"""
      (?P<string>  "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | `[^`]*` )
    | (?P<comment> \#[^\n]* )
    | (?P<variable> \$\w+ | \$\{[^}]*\} )
    | (?P<number>  \d[\w.]* )
    | (?P<name>    [a-zA-Z_:][\w:]* )
    | (?P<mark>    [!=]~ | != | [^\s] )
    """,
    re.VERBOSE | re.ASCII,
)
_VARIABLE = re.compile(r"\$\{?([a-zA-Z_]\w*)", re.ASCII)
_BEFORE_LABELS = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_OPERATORS = frozenset({"and", "or", "unless", "atan2", "bool", "offset", "inf", "nan"})
_COMPARISONS = frozenset({"=", "!=", "=~", "!~"})
_ALERT_SERIES = frozenset({"ALERTS", "ALERTS_FOR_STATE"})


class Matcher(NamedTuple):
    """One condition of a selector; the value is without its quotes."""

    label: str
    operator: str
    value: str


@dataclass(frozen=True, slots=True)
class Selector:
    """One selector of a query.

    Attributes:
        metric: the name; empty where it is only a matcher.
        matchers: the conditions in braces.
        at: where in the text a further condition goes.
        braces: whether there are braces already.
    """

    metric: str
    matchers: tuple[Matcher, ...]
    at: int
    braces: bool

    @property
    def scope(self) -> tuple[str, ...]:
        """Which of ``job`` and ``instance`` its series carry.

        The name of a recorded series says it, as in ``job_component:errors:rate5m``. Alerts have the
        job; most rules add instances up, so that asking for one would hide their alerts.
        """
        if self.metric in _ALERT_SERIES:
            return ("job",)
        level, colon, _ = self.metric.partition(":")
        carried = level.split("_") if colon else SCOPE
        return tuple(label for label in SCOPE if label in carried)

    @property
    def missing(self) -> tuple[str, ...]:
        """Which of those labels it says nothing about."""
        named = {matcher.label for matcher in self.matchers}
        return tuple(label for label in self.scope if label not in named)


def find_selectors(expr: str) -> tuple[Selector, ...]:
    """Return the selectors of a query, in their order."""
    return tuple(_selectors([word for word in _WORD.finditer(expr) if word.lastgroup != "comment"]))


def named_variables(expr: str) -> frozenset[str]:
    """Return the dashboard's variables that a query names, but not those that Grafana itself defines.

    In text only a selector's values count: ``$1`` and the like are the affair of functions.
    """
    outside = [word.group() for word in _WORD.finditer(expr) if word.lastgroup == "variable"]
    values = [matcher.value for selector in find_selectors(expr) for matcher in selector.matchers]
    return frozenset(name for text in (*outside, *values) for name in variables_in(text))


def variables_in(text: str) -> frozenset[str]:
    """Return the variables that stand in a text, but not those that Grafana itself defines."""
    return frozenset(name for name in _VARIABLE.findall(text) if not name.startswith("__"))


def narrowed(expr: str) -> str:
    """Return the query with ``job=~"$job", instance=~"$instance"`` in each selector that lacks them."""
    parts: list[str] = []
    done = 0
    for selector in find_selectors(expr):
        added = ", ".join(f'{label}=~"${label}"' for label in selector.missing)
        if not added:
            continue
        parts.append(expr[done : selector.at])
        if selector.braces:
            parts.append(added + (", " if selector.matchers else ""))
        else:
            parts.append(f"{{{added}}}")
        done = selector.at
    return "".join(parts) + expr[done:]


def _selectors(words: Sequence[re.Match[str]]) -> Iterator[Selector]:
    here = 0
    while here < len(words):
        word, rest = words[here], words[here + 1 :]
        following = rest[0].group() if rest else ""
        if word.group() == "{":
            yield _with_braces("", words[here:])
            here = _closing(words, here, "}")
        elif word.group() == "[":
            here = _closing(words, here, "]")
        elif word.group().lower() in _BEFORE_LABELS and following == "(":
            here = _closing(words, here, ")")
        elif _is_metric(word, following):
            if following == "{":
                yield _with_braces(word.group(), rest)
                here = _closing(words, here, "}")
            else:
                yield Selector(word.group(), (), word.end(), braces=False)
        here += 1


def _is_metric(word: re.Match[str], following: str) -> bool:
    name = word.group().lower()
    if word.lastgroup != "name" or name in _OPERATORS or name in _BEFORE_LABELS:
        return False
    return following != "(" and following.lower() not in {"by", "without"}


def _with_braces(metric: str, words: Sequence[re.Match[str]]) -> Selector:
    inside = words[1 : _closing(words, 0, "}")]
    return Selector(metric, tuple(_matchers(inside)), words[0].end(), braces=True)


def _closing(words: Sequence[re.Match[str]], start: int, mark: str) -> int:
    return next((here for here in range(start, len(words)) if words[here].group() == mark), len(words))


def _matchers(words: Sequence[re.Match[str]]) -> Iterator[Matcher]:
    for label, operator, value in zip(words, words[1:], words[2:], strict=False):
        if operator.group() in _COMPARISONS and value.lastgroup == "string":
            yield Matcher(label.group().strip("\"'`"), operator.group(), value.group()[1:-1])
