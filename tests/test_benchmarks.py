"""The benchmark command: it compares, says what it could not, and writes the table."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from benchmarks.__main__ import main
from benchmarks.case import Case, Subject
from benchmarks.cases import ALL
from benchmarks.runner import LOST_IN_NOISE, Effort, run
from benchmarks.table import markdown, share, write_document, write_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.case import Sample

pytestmark = pytest.mark.programs

TINY = Effort(rounds=1, share=0.0001)


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
# The peers' own: some leave event loops and files to the collector, some use what is deprecated.
@pytest.mark.filterwarnings("ignore")
def test_a_case_gives_a_positive_ratio_for_each_peer_that_is_there(case: Case) -> None:
    """Each case can be run, and each of its rows compares or names what is not installed."""
    rows = run(case, TINY)

    assert [row.peer for row in rows] == [peer.name for peer in case.peers]
    compared = [row for row in rows if not row.missing and not (case.bare and row.verdict == LOST_IN_NOISE)]
    assert all((row.ratio or 0) > 0 for row in compared), rows
    assert not any(row.missing.startswith("otel_monitoring") for row in rows), rows


def test_case_names_differ() -> None:
    """A name stands for one case, so that figures can be looked up by it."""
    assert len({case.name for case in ALL}) == len(ALL)


def test_ratio_and_verdict_are_ours_beside_the_peer() -> None:
    """The target is a share of the peer's figure."""
    reached, missed, shown = run(_case(at_most=(0.5, 0.4, None)), TINY)

    assert (reached.ours, reached.theirs, reached.ratio, reached.paired) == (1.0, 2.0, 0.5, 0.5)
    assert (reached.verdict, missed.verdict, shown.verdict) == ("reached", "missed", "-")


def test_bare_is_subtracted_from_both_sides() -> None:
    """What is added is compared, not the whole."""
    case = Case(
        name="added",
        title="Added",
        ours=Subject("ours", _always(11.0)),
        peers=(Subject("peer", _always(14.0)),),
        bare=Subject("bare", _always(10.0)),
        count=1,
    )

    (row,) = run(case, TINY)

    assert (row.ours, row.theirs, row.ratio) == (1.0, 4.0, 0.25)


def test_what_is_not_above_the_noise_is_not_compared() -> None:
    """A difference that came out negative gives no ratio, and the verdict says why."""
    case = Case(
        name="noise",
        title="Noise",
        ours=Subject("ours", _always(9.0)),
        peers=(Subject("peer", _always(14.0), at_most=0.5),),
        bare=Subject("bare", _always(10.0)),
        count=1,
    )

    (row,) = run(case, TINY)

    assert (row.ratio, row.paired, row.verdict) == (None, None, "lost in noise")


def test_a_peer_that_is_not_installed_is_named() -> None:
    """A missing peer has its row, which says what is missing."""
    case = Case(
        name="missing",
        title="Missing",
        ours=Subject("ours", _always(1.0)),
        peers=(Subject("peer", _not_there),),
        count=1,
    )

    (row,) = run(case, TINY)

    assert (row.ours, row.ratio, row.verdict) == (1.0, None, "not measured")
    assert "not measured: no_such_library is not installed" in markdown([row])


def test_the_document_keeps_all_but_the_table(tmp_path: Path) -> None:
    """Writing twice leaves one table, and the text around it as it was."""
    document = tmp_path / "benchmarks.md"
    marks = "".join(
        f"<!-- benchmarks {kind} begin -->\n<!-- benchmarks {kind} end -->\n" for kind in ("gil", "free-threaded")
    )
    document.write_text(f"# Before\n{marks}After\n", encoding="utf-8")
    rows = run(_case(at_most=(0.5, 0.4, None)), TINY)

    write_document(document, rows, "")
    once = document.read_text(encoding="utf-8")
    write_document(document, rows, "")

    assert document.read_text(encoding="utf-8") == once
    assert once.startswith("# Before\n")
    assert once.endswith("After\n")
    assert once.count("| ≤ 0.50 | reached |") == 1


def test_a_document_without_marks_is_refused(tmp_path: Path) -> None:
    """Nothing is written to a document that has no place for the table."""
    document = tmp_path / "other.md"
    document.write_text("# Other\n", encoding="utf-8")

    with pytest.raises(ValueError, match=r"benchmarks .* begin"):
        write_document(document, [], "")


def test_json_holds_plain_numbers(tmp_path: Path) -> None:
    """The figures can be read by a program, with the machine they are from."""
    path = tmp_path / "figures.json"

    write_json(path, run(_case(at_most=(0.5,)), TINY))

    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["machine"]
    assert [(row["ours"], row["unit"], row["verdict"]) for row in content["rows"]] == [(1.0, "s", "reached")]


def test_the_command_runs_the_cases_that_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``--only`` chooses by the beginning of the name, and the table comes out."""
    path = tmp_path / "figures.json"

    assert main(["--quick", "--only", "text", "--json", str(path)]) == 0

    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    assert {row["case"] for row in rows} == {"text"}
    assert "prometheus_client" in capsys.readouterr().out


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    """A misspelt case is an error that lists the names."""
    with pytest.raises(SystemExit, match=r"no case is called conuter: there are counter, "):
        main(["--only", "conuter"])


@pytest.mark.parametrize(
    ("value", "text"), [(1.0, "1.00"), (0.35, "0.35"), (1 / 8, "1/8"), (1 / 50, "1/50"), (None, "-")]
)
def test_small_ratios_are_shown_as_parts(value: float | None, text: str) -> None:
    """Targets read as they were set: half is 0.50, a fiftieth is 1/50."""
    assert share(value) == text


def _case(at_most: tuple[float | None, ...]) -> Case:
    peers = tuple(Subject(f"peer {number}", _always(2.0), limit) for number, limit in enumerate(at_most))
    return Case(name="case", title="Case", ours=Subject("ours", _always(1.0)), peers=peers, count=1)


def _always(value: float) -> Callable[[], Sample]:
    return lambda: lambda count: value


def _not_there() -> Sample:
    import no_such_library  # type: ignore[import-not-found]

    return no_such_library.sample  # type: ignore[no-any-return]
