"""Bursts: the first errors of a kind in each second are kept in detail."""

from __future__ import annotations

from otel_monitoring.errors.bursts import REMEMBERED, Bursts


def test_so_many_of_a_kind_are_let_through_in_a_second() -> None:
    """Those beyond are held back, and the next second begins anew."""
    bursts = Bursts(per_second=3)
    assert [bursts.lets_through("a", 10.0 + number / 10) for number in range(5)] == [True, True, True, False, False]
    assert bursts.lets_through("a", 11.0)


def test_kinds_do_not_hold_each_other_back() -> None:
    """A burst of one says nothing of another."""
    bursts = Bursts(per_second=1)
    assert bursts.lets_through("a", 10.0)
    assert not bursts.lets_through("a", 10.1)
    assert bursts.lets_through("b", 10.2)


def test_a_clock_that_goes_back_holds_nothing_back_for_long() -> None:
    """Another second is another second, whichever way it lies."""
    bursts = Bursts(per_second=1)
    assert bursts.lets_through("a", 100.0)
    assert bursts.lets_through("a", 50.0)
    assert not bursts.lets_through("a", 50.5)


def test_kinds_beyond_those_that_are_remembered_are_let_through() -> None:
    """Memory is bounded, and what is not known is kept rather than held back."""
    bursts = Bursts(per_second=1)
    for number in range(REMEMBERED):
        bursts.lets_through(str(number), 10.0)
    assert all(bursts.lets_through("one more", 10.0) for _ in range(3))
    assert not bursts.lets_through("0", 10.0)
