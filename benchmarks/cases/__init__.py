"""The cases, in the order of the table."""

from __future__ import annotations

from benchmarks.cases import decorating, errors, importing, memory, recording, scraping, serving, threads

ALL = (
    *recording.CASES,
    *decorating.CASES,
    *serving.CASES,
    *errors.CASES,
    *threads.CASES,
    *scraping.CASES,
    *memory.CASES,
    *importing.CASES,
)
