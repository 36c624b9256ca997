"""YAML as we write it, read back by a reader that knows YAML 1.1."""

from __future__ import annotations

from datetime import date

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from otel_monitoring.grafana.yaml_text import yaml_text

TRICKY = (
    *("", " ", "~", "y", "No", "on", "true", "NULL", ".inf", "1e3", "0x1f", "0o7", "1_000", "1:30", "2024-01-01"),
    *("=", "<<", "- a", "a: b", "a:", "a #b", "#", "? x", "! t", "&a", "*a", "%d", "@x", "`x`", "|", ">", "{a}", "[b]"),
    *("---", "...", "a ", " a", "a\tb", "a\nb", "a\nb\n", "a\n\nb", "\na", "a\n", "a\n b", " a\nb", "a\nb \nc", "\n"),
    *("\x85", "\u2028", "\ufeff", "é", "日本", "😀", "{{ $labels.job }}", '"q"', "it's", "a\\b", "$$", "\x00", "\x7f"),
)
CHARACTERS = st.characters(exclude_categories=["Cs"])
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(CHARACTERS)
    | st.sampled_from(TRICKY)
)
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(CHARACTERS), inner, max_size=4),
    max_leaves=15,
)


@given(TREES)
def test_what_is_written_is_read_as_it_was(value: object) -> None:
    """Whatever mappings, lists, texts and numbers hold comes back as it went in."""
    assert yaml.safe_load(yaml_text(value)) == value


@pytest.mark.parametrize("text", TRICKY, ids=ascii)
def test_a_text_stays_a_text_wherever_it_stands(text: str) -> None:
    """What looks like a number, a switch, a comment or a mapping is read as text: as value, key and item."""
    value = {"value": text, "key": {text: 1}, "items": [text, [text], {"a": text}]}
    assert yaml.safe_load(yaml_text(value)) == value


def test_text_of_several_lines_is_a_block() -> None:
    """A query is written as people write it."""
    assert yaml_text({"expr": "sum(\n  rate(x[5m])\n)"}) == "expr: |-\n  sum(\n    rate(x[5m])\n  )\n"


def test_equal_values_are_written_out_each_time() -> None:
    """No aliases: not every reader follows them."""
    shared = {"a": [1]}
    assert yaml_text([shared, shared]) == "- a:\n    - 1\n- a:\n    - 1\n"


def test_keys_keep_their_order_and_the_heading_comes_first() -> None:
    """The same value gives the same bytes."""
    assert yaml_text({"b": 1, "a": "x"}, heading="One.\n\nTwo.") == "# One.\n#\n# Two.\nb: 1\na: x\n"


@pytest.mark.parametrize(
    "value", [{"a": {1}}, [object()], date(2026, 1, 1), {"a": b"x"}], ids=["set", "object", "date", "bytes"]
)
def test_what_is_no_yaml_is_refused(value: object) -> None:
    """Nothing is written as something that it is not."""
    with pytest.raises(TypeError, match="cannot be written as YAML"):
        yaml_text(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")], ids=str)
def test_what_is_no_number_is_refused(value: float) -> None:
    """There is no way to write it that all readers share."""
    with pytest.raises(ValueError, match="JSON compliant"):
        yaml_text({"a": value})
