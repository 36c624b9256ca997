"""What documents say about metrics: names between backticks, queries and Python in blocks of code.

A document may use what the catalogue holds and what its own Python declares, as the
examples of a README do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otel_monitoring.catalogue import Catalogue, did_you_mean
from otel_monitoring.exceptions import DeclarationError, QueryError
from otel_monitoring.grafana.check import check_query
from otel_monitoring.grafana.python_code import argument, calls, declared_in, label_names, name_of
from otel_monitoring.grafana.series import KnownSeries

if TYPE_CHECKING:
    import ast
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from otel_monitoring.catalogue import Declaration

PROMQL = ("promql", "PromQL")
PYTHON = ("python", "py")
YAML = ("yaml", "yml")
"""What blocks of code are marked with."""

_FENCE = re.compile(
    r"""
    ^ (?P<indent>[ \t]*) (?P<fence>`{3,}|~{3,}) [ \t]* (?P<language>[\w+-]*) [^\n]* \n
    (?P<body>.*?)
    ^ (?P=indent) (?P=fence) [ \t]* $
    """,
    re.DOTALL | re.MULTILINE | re.VERBOSE,
)
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_METRIC = re.compile(r"[a-z][a-z0-9_:]*(?:_total|_bucket|_timestamp_seconds)")
_PERHAPS = re.compile(r"[a-z][a-z0-9_:]*(?:_seconds|_bytes|_percent)")
_ALIKE = 0.75
"""How much a name that might be anything's, such as an argument's, must look like a metric to be taken for one."""

_SELECTED = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)\{(?P<labels>[^{}]*)\}")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_LABEL = re.compile(r"[a-zA-Z_]\w*")
_QUERYING = {"Panel": 1, "Alert": 1, "Record": 1, "Target": 0}
_RECORDING = frozenset({"record_metric", "assert_change"})


@dataclass(frozen=True, slots=True)
class Document:
    """A document in Markdown.

    Attributes:
        name: what messages call it.
        text: all of it.
    """

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code: where it begins, what it is written in, and the code."""

    line: int
    language: str
    code: str


def read_documents(paths: Iterable[Path], *, root: Path) -> tuple[Document, ...]:
    """Read documents; their names are relative to a folder where they are below it.

    Raises:
        OSError: one cannot be read.
    """
    return tuple(
        Document(
            str(path.relative_to(root)) if path.is_relative_to(root) else str(path),
            path.read_text(encoding="utf-8", errors="replace"),
        )
        for path in paths
    )


def document_problems(
    documents: Iterable[Document],
    catalogue: Catalogue,
    *,
    recorded: Mapping[str, frozenset[str]],
    not_metrics: frozenset[str] = frozenset(),
) -> Iterator[str]:
    """Go through what documents name and what is not there; each message begins with file and line.

    Args:
        documents: what to read; what one of them declares in Python, all may name.
        catalogue: what is declared.
        recorded: the series that recording rules make, by name, with their labels.
        not_metrics: words that look like metrics and are none, such as names of settings.
    """
    read = tuple(documents)
    declared = {document: tuple(_declared_by(document)) for document in read}
    others = [declaration for document in read for declaration in declared[document]]
    for document in read:
        known = _with_declared(catalogue, (*declared[document], *others))  # what it says itself comes first
        yield from _Reader(known, recorded, not_metrics).problems(document)


def blocks_of(text: str) -> Iterator[Block]:
    """Go through the blocks of code of a document."""
    for fence in _FENCE.finditer(text):
        line = text.count("\n", 0, fence.start("body")) + 1
        indent = fence["indent"]
        code = "\n".join(one.removeprefix(indent) for one in fence["body"].splitlines())
        yield Block(line, fence["language"], code)


class _Reader:
    def __init__(
        self, catalogue: Catalogue, recorded: Mapping[str, frozenset[str]], not_metrics: frozenset[str]
    ) -> None:
        self._catalogue = catalogue
        self._recorded = recorded
        self._known = KnownSeries(catalogue, recorded=recorded)
        self._not_metrics = not_metrics
        self._readers: dict[str, Callable[[Block], Iterator[tuple[int, str]]]] = {
            **dict.fromkeys(PYTHON, self._in_python),
            **dict.fromkeys(YAML, self._in_yaml),
            **dict.fromkeys(PROMQL, self._in_promql),
        }

    def problems(self, document: Document) -> Iterator[str]:
        found = list(self._in_spans(_FENCE.sub(_blank, document.text)))
        for block in blocks_of(document.text):
            read = self._readers.get(block.language)
            if read is not None:
                found += read(block)
        for line, problem in sorted(dict.fromkeys(found)):
            yield f"{document.name}:{line}: {problem}"

    def _in_spans(self, text: str) -> Iterator[tuple[int, str]]:
        for span in _SPAN.finditer(text):
            line = text.count("\n", 0, span.start()) + 1
            code = span[1].strip()
            selected = _SELECTED.fullmatch(code)
            if selected and self._looks_like_a_metric(selected["name"]):
                yield from ((line, problem) for problem in self._in_selector(selected["name"], selected["labels"]))
            elif self._looks_like_a_metric(code) and self._is_unknown(code):
                yield line, self._known.missing(code)

    def _looks_like_a_metric(self, name: str) -> bool:
        if name in self._not_metrics or not self._is_unknown(name):
            return name not in self._not_metrics
        if _METRIC.fullmatch(name):
            return True
        return _PERHAPS.fullmatch(name) is not None and self._known.nearest(name, alike=_ALIKE) is not None

    def _is_unknown(self, name: str) -> bool:
        return self._known.find(name) is None and self._catalogue.find(name) is None

    def _in_selector(self, name: str, labels: str) -> Iterator[str]:
        """Labels stand there with matchers, ``{queue="mail"}``, or by themselves, ``{queue, outcome}``."""
        series = self._known.find(name)
        declaration = self._catalogue.find(name)
        if series is None and declaration is None:
            yield self._known.missing(name)
            return
        known = series.labels if series is not None else frozenset(declaration.prometheus_labels if declaration else ())
        for label in _LABEL.findall(_QUOTED.sub("", labels)):
            if known is not None and label not in known:
                own = ", ".join(declaration.prometheus_labels if declaration else sorted(known)) or "none of its own"
                yield f"{name} has no label {label!r}: it has {own}{did_you_mean(label, known)}"

    def _in_promql(self, block: Block) -> Iterator[tuple[int, str]]:
        line = block.line
        for query in re.split(r"(\n[ \t]*\n)", block.code):
            if query.strip():
                yield from ((line, problem) for problem in self._query_problems(query.strip()))
            line += query.count("\n")

    def _in_yaml(self, block: Block) -> Iterator[tuple[int, str]]:
        for offset, text in enumerate(block.code.splitlines()):
            found = re.fullmatch(r"[\s-]*expr:\s*(?P<quote>['\"]?)(?P<query>[^|>'\"\s].*?)(?P=quote)\s*", text)
            if found:
                yield from ((block.line + offset, problem) for problem in self._query_problems(found["query"]))

    def _in_python(self, block: Block) -> Iterator[tuple[int, str]]:
        for call in calls(block.code):
            line = block.line + call.lineno - 1
            name = name_of(call)
            if name in _QUERYING:
                query = argument(call, _QUERYING[name], "expr", "queries")
                if isinstance(query, str):
                    yield from ((line, problem) for problem in self._query_problems(query))
            elif name in _RECORDING:
                yield from ((line, problem) for problem in self._recording_problems(call))

    def _recording_problems(self, call: ast.Call) -> Iterator[str]:
        name = argument(call, 0, "metric_name", "name")
        if not isinstance(name, str):
            return
        declaration = self._catalogue.find(name)
        if declaration is None:
            near = self._catalogue.nearest(name)
            yield f"there is no metric {name!r}" + (f"; did you mean {near!r}?" if near else "")
            return
        known = {*declaration.labels, *declaration.prometheus_labels}
        for label in label_names(call):
            if label not in known:
                has = ", ".join(declaration.labels) or "none"
                yield f"{name} has no label {label!r}: it has {has}{did_you_mean(label, known)}"

    def _query_problems(self, query: str) -> Iterator[str]:
        try:
            check_query(query, self._catalogue, where="query", recorded=self._recorded)
        except QueryError as error:
            yield str(error).removeprefix("query: ")


def _blank(fence: re.Match[str]) -> str:
    return "\n" * fence[0].count("\n")


def _with_declared(catalogue: Catalogue, declared: Iterable[Declaration]) -> Catalogue:
    """Return a catalogue with further declarations; of what does not fit beside others the first stays."""
    known = Catalogue()
    known.allow(metrics=catalogue.foreign_metrics, labels=catalogue.target_labels)
    for declaration in (*catalogue, *declared):
        if known.find(declaration.name) is None:
            _declare(known, declaration)
    return known


def _declared_by(document: Document) -> Iterator[Declaration]:
    for block in blocks_of(document.text):
        if block.language in PYTHON:
            yield from declared_in(block.code)


def _declare(catalogue: Catalogue, declaration: Declaration) -> None:
    try:
        catalogue.declare(declaration)
    except DeclarationError:
        return
