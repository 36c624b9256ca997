"""Alerts and recorded series, each defined once, from which rules for Prometheus and for Grafana are made."""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING

from otel_monitoring.catalogue import did_you_mean
from otel_monitoring.exceptions import QueryError
from otel_monitoring.grafana.alert_text import Reference, labels_named, text_problems

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

SEVERITIES = ("critical", "warning", "info", "none")

LONGEST_TITLE = 190
"""What Grafana takes at most."""

DURATION = re.compile(r"0|(?=\d)(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?")
"""Prometheus's durations: units fall, each at most once."""

_ALERT_NAME = re.compile(r"[A-Z][A-Za-z0-9]*")
_SERIES_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL_NAME = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_QUOTED = re.compile(r"""\"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`""")
_NOT_YOURS = frozenset({"alertname", "severity"})
_STEP_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that somebody must hear of; checked when it is made.

    Args:
        name: in CamelCase, as ``JobsStuck``; the label ``alertname``.
        expr: PromQL that gives a series for each thing that is wrong, and none where all is well.
        hold: for how long it must, as ``15m``; ``0s`` tells at once.
        severity: ``critical``, ``warning``, ``info`` or ``none``.
        category: who it is for, as ``performance`` or ``business``; empty leaves the label out.
        summary: one line that names what is wrong, a template of Prometheus's.
        description: more of it, with the value: ``{{ $value | humanizePercentage }}``.
        keep_firing_for: for how long it goes on when the series is gone, where that comes and goes.
        labels: further labels of the alert.
        runbook_url: a page that says what to do.
        dashboard: the uid of a dashboard that shows it, or the path or URL of one.
        reference: a series that the texts name as ``$reference``.

    Raises:
        QueryError: something does not fit; the message lists all of it.
    """

    name: str
    expr: str
    _: KW_ONLY
    hold: str = "5m"
    severity: str = "warning"
    category: str = ""
    summary: str = ""
    description: str = ""
    keep_firing_for: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)
    runbook_url: str = ""
    dashboard: str = ""
    reference: Reference | None = None

    def __post_init__(self) -> None:
        """Check every field."""
        _refuse(f"alert {self.name!r}", self._problems())

    @property
    def all_labels(self) -> dict[str, str]:
        """The labels of the alert, severity and category among them; those of the result come to them."""
        own = {"severity": self.severity, **({"category": self.category} if self.category else {})}
        return {**own, **self.labels}

    @property
    def texts(self) -> dict[str, str]:
        """The templates, by the names of their annotations."""
        texts = {"summary": self.summary, "description": self.description}
        return {name: text for name, text in texts.items() if text}

    def unknown_labels(self, known: frozenset[str] | None) -> Iterator[str]:
        """Say which labels its texts and its reference name that its result does not carry.

        Args:
            known: the labels of the result; None where they are not known.
        """
        if known is None:
            return
        texts = {**self.texts, **{f"the label {name!r}": value for name, value in self.labels.items()}}
        named = [(where, f"$labels.{name}", name) for where, text in texts.items() for name in labels_named(text)]
        if self.reference is not None:
            named += [("the reference", repr(name), name) for name in self.reference.labels]
        for where, shown, name in named:
            if name not in known:
                there = ", ".join(sorted(known)) or "none"
                static = "; the alert's own labels are not among them" if name in self.all_labels else ""
                yield f"{where} names {shown}, and the result has {there}{static}{did_you_mean(name, known)}"

    def _problems(self) -> Iterator[str]:
        if not isinstance(self.name, str) or not _ALERT_NAME.fullmatch(self.name) or len(self.name) > LONGEST_TITLE:
            yield f"the name is {_camel(self.name)}: up to {LONGEST_TITLE} letters and digits in CamelCase"
        expr_problem = _expr_problem(self.expr)
        if expr_problem:
            yield expr_problem
        if self.severity not in SEVERITIES:
            known = ", ".join(SEVERITIES)
            yield f"severity is {self.severity!r}: one of {known}{did_you_mean(str(self.severity), SEVERITIES)}"
        yield from _duration_problems("hold", self.hold)
        if self.keep_firing_for is not None:
            yield from _duration_problems("keep_firing_for", self.keep_firing_for)
        if self.reference is not None and not _SERIES_NAME.fullmatch(self.reference.series):
            yield f"the reference {self.reference.series!r} is no name of a series"
        misfits = [*_label_problems({"category": self.category, **self.labels}, _NOT_YOURS), *self._text_problems()]
        yield from misfits
        if not expr_problem and not misfits and _can_parse():
            from otel_monitoring.grafana.result_labels import result_labels

            yield from self.unknown_labels(result_labels(self.expr))

    def _text_problems(self) -> Iterator[str]:
        for where in ("summary", "description", "runbook_url", "dashboard"):
            text: object = getattr(self, where)
            if not isinstance(text, str) or not _fits_utf8(text):
                yield f"{where} is {text!r}: write text"
            elif where in self.texts:
                yield from (f"{where}: {problem}" for problem in text_problems(text, self.reference))
        for name, value in self.labels.items():
            if isinstance(value, str):
                yield from (f"the label {name!r}: {problem}" for problem in text_problems(value, None))


@dataclass(frozen=True, slots=True)
class Record:
    """A series that is kept under a name of its own, for those who ask often; checked when it is made.

    Args:
        name: by convention ``labels:metric:operations``.
        expr: PromQL that gives its values.
        labels: that it carries beside those of the result.

    Raises:
        QueryError: something does not fit; the message lists all of it.
    """

    name: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)

    def __post_init__(self) -> None:
        """Check every field."""
        _refuse(f"record {self.name!r}", self._problems())

    def _problems(self) -> Iterator[str]:
        if not isinstance(self.name, str) or not _SERIES_NAME.fullmatch(self.name):
            yield "the name is none of a series: letters, digits, '_' and ':', as job_queue:jobs:rate5m"
        problem = _expr_problem(self.expr)
        if problem:
            yield problem
        yield from _label_problems(self.labels, frozenset())


@dataclass(frozen=True, slots=True)
class RuleGroup:
    """Rules that are evaluated together, one after the other; checked when it is made.

    Args:
        name: of the group, one of its kind in a file or a folder.
        interval_seconds: from one evaluation to the next; a multiple of 10, as Grafana wants it.
        rules: in their order, so that a rule sees what was recorded above it.

    Raises:
        QueryError: something does not fit; the message lists all of it.
    """

    name: str
    interval_seconds: int
    rules: tuple[Alert | Record, ...]

    def __post_init__(self) -> None:
        """Check every field."""
        object.__setattr__(self, "rules", tuple(self.rules))
        _refuse(f"group {self.name!r}", self._problems())

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """The alerts among the rules."""
        return tuple(rule for rule in self.rules if isinstance(rule, Alert))

    @property
    def records(self) -> tuple[Record, ...]:
        """The recorded series among the rules."""
        return tuple(rule for rule in self.rules if isinstance(rule, Record))

    def _problems(self) -> Iterator[str]:
        if not isinstance(self.name, str) or not self.name.strip() or len(self.name) > LONGEST_TITLE:
            yield f"the name is text of up to {LONGEST_TITLE} characters"
        step = self.interval_seconds
        if type(step) is not int or step <= 0 or step % _STEP_SECONDS:
            yield f"interval_seconds is {step!r}: a multiple of {_STEP_SECONDS} above 0, such as 60"
        for rule in self.rules:
            if not isinstance(rule, Alert | Record):
                yield f"{rule!r} is no rule: write Alert(name, expr) or Record(name, expr)"
        identities = [identity(rule) for rule in self.rules if isinstance(rule, Alert | Record)]
        for twice in sorted({one for one in identities if identities.count(one) > 1}):
            yield f"{twice} is there twice: give it another name or other labels"


def identity(rule: Alert | Record) -> str:
    """Return what tells a rule from all others: its name and its labels, and nothing that may be adjusted."""
    labels = rule.all_labels if isinstance(rule, Alert) else rule.labels
    kept = ", ".join(f"{name}={value!r}" for name, value in sorted(labels.items()) if name != "category")
    return f"{rule.name}{{{kept}}}"


def _refuse(whose: str, problems: Iterable[str]) -> None:
    found = list(problems)
    if found:
        raise QueryError(f"{whose}: " + "; ".join(found))


def _camel(name: object) -> str:
    if not isinstance(name, str):
        return repr(name)
    words = re.findall(r"[A-Za-z0-9]+", name)
    meant = "".join(word[:1].upper() + word[1:] for word in words)
    return f"{name!r}, perhaps {meant!r}" if _ALERT_NAME.fullmatch(meant) and meant != name else repr(name)


def _expr_problem(expr: object) -> str | None:
    if not isinstance(expr, str) or not expr.strip() or not _fits_utf8(expr):
        return f"{expr!r} is no PromQL: write a query, as 'sum by (queue) (rate(jobs_total[10m])) == 0'"
    if "$" in _QUOTED.sub("", expr):
        return f"{expr!r} holds a variable of Grafana's, which rules do not have: write the value itself"
    return _parse_problem(expr) if _can_parse() else None


def _can_parse() -> bool:
    # Without the extra nothing can, and an application that only defines alerts goes on.
    return find_spec("promql_parser") is not None


def _parse_problem(expr: str) -> str | None:
    import promql_parser as promql

    from otel_monitoring.grafana.promql import parse_query

    try:
        node = parse_query(expr, where="its query")
    except QueryError as error:
        return str(error)
    if isinstance(node, promql.MatrixSelector | promql.SubqueryExpr | promql.StringLiteral):
        return f"{expr!r} gives no value for each series: a rule wants one, as rate(…[5m]) gives it"
    return None


def _duration_problems(name: str, text: object) -> Iterator[str]:
    if not isinstance(text, str) or not DURATION.fullmatch(text):
        yield f"{name} is {text!r}: a duration such as 30s, 15m or 1h30m"


def _label_problems(labels: Mapping[str, object], reserved: frozenset[str]) -> Iterator[str]:
    for name, value in labels.items():
        if not isinstance(name, str) or not _LABEL_NAME.fullmatch(name):
            yield f"{name!r} is no label name: letters, digits and '_', as team"
        elif name in reserved:
            yield f"the label {name!r} is not for you to give here"
        if not isinstance(value, str) or not _fits_utf8(value):
            yield f"the label {name!r} is {value!r}: write text"
        elif "$value" in value:
            yield f"the label {name!r} holds $value, a new alert each time: put it into the description"


def _fits_utf8(text: str) -> bool:
    return text == text.encode(errors="replace").decode()
