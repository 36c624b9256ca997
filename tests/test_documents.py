"""What documents say about metrics is held to the catalogue, with file and line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_monitoring.catalogue import Catalogue, Declaration, Kind
from otel_monitoring.catalogue.shipped import SHIPPED
from otel_monitoring.grafana.documents import Document, blocks_of, document_problems, read_documents

if TYPE_CHECKING:
    from pathlib import Path

RECORDED = {"queue:jobs:rate5m": frozenset({"queue"})}


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    catalogue = Catalogue()
    for declaration in SHIPPED:
        catalogue.declare(declaration)
    catalogue.declare(Declaration(name="jobs", kind=Kind.COUNTER, labels=("queue", "outcome")))
    catalogue.declare(Declaration(name="job_wait", kind=Kind.HISTOGRAM, unit="s", labels=("queue",), buckets=(1, 2)))
    return catalogue


def problems(catalogue: Catalogue, *texts: str) -> list[str]:
    documents = [Document(f"docs/{number}.md", text) for number, text in enumerate(texts)]
    return list(
        document_problems(documents, catalogue, recorded=RECORDED, not_metrics=frozenset({"push_timeout_seconds"}))
    )


@pytest.mark.parametrize(
    "text",
    [
        "`jobs_total` and `job_wait_seconds`, `job_wait_seconds_bucket`, `job_wait` and `jobs`.",
        "`jobs_total{queue, outcome}` and `job_wait_seconds{queue}`",
        '`jobs_total{queue="le", outcome=~"a|b"}` and `job_wait_seconds_bucket{le="1.0"}`',
        "`queue:jobs:rate5m` and `up`",
        "The setting `push_timeout_seconds` and the argument `retry_after`.",
        "The attribute `retry_after_seconds` looks like no metric that there is, and neither does `spool_bytes`.",
        "`timeout_seconds=5`, `wait_seconds()` and `{queue}` are code, not metrics.",
        "jabs_total in a sentence is only a word.",
        "```\njabs_total 5\n```\n",
        "```promql\nsum by (queue) (rate(jobs_total[5m]))\n\n  sum(rate(jobs_total[5m]))\n  > 1\n```\n",
        '```yaml\n- alert: Stuck\n  expr: sum(rate(jobs_total[5m])) == 0\n- expr: "up == 0"\n- expr: |\n    up\n```\n',
        '```python\nmonitoring.record_metric("jobs", 1, labels={"queue": "a", "outcome": "b"})\n```\n',
        '```python\nPanel("Jobs", "sum(rate(jobs_total[5m]))")\nAlert("Down", expr="up == 0")\n```\n',
        "```python\nthis is no Python\n```\n",
        '```python\nPanel("Jobs", JOBS.rate())\nrecord_metric(name, 1, labels=labels)\ncounter(name)\n```\n',
    ],
    ids=lambda text: text,
)
def test_what_documents_say_rightly_passes(text: str, catalogue: Catalogue) -> None:
    """Names with and without labels, queries, rules and Python."""
    assert not problems(catalogue, text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("One\ntwo `jabs_total`", "docs/0.md:2: there is no metric 'jabs_total'; did you mean 'jobs_total'?"),
        ("`job_waits_seconds`", "docs/0.md:1: there is no metric 'job_waits_seconds'; did you mean"),
        (
            "`jobs_total{quue}`",
            "docs/0.md:1: jobs_total has no label 'quue': it has queue, outcome; did you mean 'queue'?",
        ),
        ('`job_wait_seconds{outcome="a"}`', "docs/0.md:1: job_wait_seconds has no label 'outcome': it has queue"),
        ('`jabs_total{queue="a"}`', "docs/0.md:1: there is no metric 'jabs_total'"),
        ("\n```promql\nup\n\nrate(jabs_total[5m])\n```", "docs/0.md:5: there is no metric 'jabs_total'"),
        ("```promql\nsum(jobs_total)\n```", "docs/0.md:2: jobs_total only ever rises"),
        (
            "```yaml\n- record: a\n  expr: sum by (quue) (up)\n  expr: jabs\n```",
            "docs/0.md:4: there is no metric 'jabs'",
        ),
        ('- item\n\n  ```python\n  Panel("Jobs", "jabs_total")\n  ```', "docs/0.md:4: there is no metric 'jabs_total'"),
        (
            '```python\nrecord_metric(metric_name="jobs", value=1, labels={"quue": "a"})\n```',
            "docs/0.md:2: jobs has no label 'quue': it has queue, outcome; did you mean 'queue'?",
        ),
        (
            '```python\nwith metrics.assert_change("jabs_total", {"queue": "a"}, by=1):\n    pass\n```',
            "docs/0.md:2: there is no metric 'jabs_total'; did you mean 'jobs_total'?",
        ),
    ],
    ids=["name", "unit", "label", "family", "selector", "query", "bare", "rule", "panel", "recording", "change"],
)
def test_what_is_not_there_is_found_in_its_line(text: str, says: str, catalogue: Catalogue) -> None:
    """The message begins with the document and the line."""
    (problem,) = problems(catalogue, text)
    assert problem.startswith(says)


def test_what_one_document_declares_all_may_name(catalogue: Catalogue) -> None:
    """The examples of a README are metrics to the other pages too."""
    declares = (
        'A:\n```python\nMAILS = monitoring.counter("mails", unit="{mail}", labels=("box",), description="Mails.")\n'
        'SIZE = monitoring.histogram("mail_size", unit="By", labels=["box"], buckets=(1, 10))\n```\n'
    )
    names = "`mails_total{box}`, `mail_size_bytes_bucket`"
    assert len(problems(catalogue, names)) == 2
    assert not problems(catalogue, names, declares)
    assert "no label 'bax'" in problems(catalogue, declares, "`mails_total{bax}`")[0]


def test_a_declaration_that_does_not_fit_declares_nothing(catalogue: Catalogue) -> None:
    """Documents may show what is refused."""
    shows = '```python\nmonitoring.counter("5 jobs")\nmonitoring.gauge("jobs_total", labels=("le",))\n```'
    assert not problems(catalogue, shows)


def test_blocks_of_code_are_found_with_their_lines() -> None:
    """Tildes, longer fences around shorter ones, and indented blocks; what is never closed is none."""
    text = "a\n~~~promql\nb\n~~~\n\n````python\n```\nc\n````\n  ```yaml\n  d:\n    e\n  ```\n```\nopen\n"
    assert [(block.line, block.language, block.code) for block in blocks_of(text)] == [
        (3, "promql", "b"),
        (7, "python", "```\nc"),
        (11, "yaml", "d:\n  e"),
    ]


def test_documents_are_named_from_their_root(tmp_path: Path) -> None:
    """What is not text is read as far as it goes."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.md").write_bytes(b"`jabs\xff`")
    (document,) = read_documents([tmp_path / "docs" / "a.md"], root=tmp_path)
    assert (document.name, document.text) == ("docs/a.md", "`jabs�`")
