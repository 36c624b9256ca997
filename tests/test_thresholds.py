"""Thresholds: read from names and values, each in its range, some with values of their own for single components."""

from __future__ import annotations

from typing import Any

import pytest

from otel_monitoring import MonitoringService
from otel_monitoring.catalogue.thresholds import OwnThreshold, Thresholds
from otel_monitoring.exceptions import ConfigurationError, DeclarationError
from otel_monitoring.grafana.shipped_rules.terms import number
from otel_monitoring.settings import Settings
from tests.logging_state import kept_logging


def refusal(**given: Any) -> str:
    with pytest.raises(DeclarationError) as caught:
        Thresholds.read({name.replace("__", "."): value for name, value in given.items()})
    return str(caught.value)


def test_what_is_not_given_is_as_documented() -> None:
    made = Thresholds.read({"error_ratio": "0.1"})
    assert made == Thresholds(error_ratio=0.1)
    assert {row.name: row.default for row in Thresholds.table()} == {
        row.name: getattr(Thresholds(), row.name) for row in Thresholds.table()
    }


def test_a_component_may_have_its_own() -> None:
    made = Thresholds.read({"error_ratio.crawler": 0.1, "error_ratio.api.v2": 0.2, "prospect_score.a.b.fit": 0.5})
    assert made.own_of("error_ratio") == (
        OwnThreshold({"component": "api.v2"}, 0.2),
        OwnThreshold({"component": "crawler"}, 0.1),
    )
    assert made.own_of("prospect_score") == (OwnThreshold({"platform": "a.b", "score_type": "fit"}, 0.5),)
    assert made.own_of("stale_seconds") == ()


def test_only_what_is_not_as_by_default_is_shown() -> None:
    assert repr(Thresholds()) == "Thresholds()"
    made = Thresholds.read({"error_ratio": 0.1, "stale_seconds.c": 60})
    assert repr(made) == "Thresholds(error_ratio=0.1, own={'stale_seconds.c': 60})"


@pytest.mark.parametrize("value", [0, 1, -0.1, "much", None, True, float("nan"), float("inf"), [0.1]])
def test_a_value_out_of_its_range_is_refused(value: Any) -> None:
    assert f"error_ratio is {value!r}: a number above 0 and below 1" in refusal(error_ratio=value)
    assert f"error_ratio.crawler is {value!r}: a number above 0 and below 1" in refusal(error_ratio__crawler=value)


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    assert "there is no threshold 'eror_ratio'; did you mean 'error_ratio'?" in refusal(eror_ratio=0.1)
    assert "there is no threshold 'stale.crawler'" in refusal(stale__crawler=60)


def test_a_value_of_its_own_is_only_where_there_may_be_one() -> None:
    assert "'memory_ratio.crawler': memory_ratio has one value for all" in refusal(memory_ratio__crawler=0.5)
    assert "'prospect_score.linkedin' names no platform and score_type: write " in refusal(prospect_score__linkedin=0.5)
    assert "'error_ratio.' names no component: write error_ratio.component" in refusal(error_ratio__=0.5)


def test_a_limit_that_a_histogram_cannot_show_is_refused() -> None:
    """Above its highest bound a quantile is never seen, so that the alert would never fire."""
    assert "request_latency_seconds is 10: a number above 0 and below 10" in refusal(request_latency_seconds=10)
    assert "processing_time_seconds.c is 300: a number above 0 and below 300" in refusal(processing_time_seconds__c=300)


def test_a_bound_that_rules_read_must_be_a_bucket() -> None:
    assert "low_score is 0.45: a bound of a bucket below the highest, such as 0.4" in refusal(low_score=0.45)
    assert "latency_objective_seconds is 3: a bound" in refusal(latency_objective_seconds=3)


def test_an_objective_that_can_never_burn_is_refused() -> None:
    assert "success_objective is 0.9, so that its budget burns 10 times" in refusal(success_objective=0.9)


def test_all_problems_are_told_at_once() -> None:
    message = refusal(error_ratio=2, cpu_percent=0, what=1)
    assert all(name in message for name in ("error_ratio is 2", "cpu_percent is 0", "no threshold 'what'"))


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.9999999, "0.9999999"), (30.0, "30"), (1e-7, "1e-07"), (14_400, "14400"), (0.1 + 0.2, "0.30000000000000004")],
)
def test_a_number_is_written_as_promql_reads_it_to_the_last_digit(value: float, written: str) -> None:
    assert number(value) == written
    assert float(number(value)) == value


@pytest.mark.parametrize(
    "given",
    ["error_ratio=0.1, error_ratio.crawler=0.2", {"error_ratio": 0.1, "error_ratio.crawler": "0.2"}],
    ids=["text", "dictionary"],
)
def test_they_are_one_setting(given: object) -> None:
    with kept_logging(), MonitoringService(third_party=False, thresholds=given) as service:
        assert service.settings.thresholds == Thresholds(error_ratio=0.1, own={"error_ratio.crawler": 0.2})


def test_the_environment_gives_them_too() -> None:
    settings = Settings.load(environ={"OTEL_MONITORING_THRESHOLDS": "stale_seconds=60,stale_seconds.crawler=120"})
    assert settings.thresholds == Thresholds(stale_seconds=60, own={"stale_seconds.crawler": 120})
    assert Settings.load(environ={}).thresholds == Thresholds()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("eror_ratio=1", "there is no threshold 'eror_ratio'; did you mean 'error_ratio'?"),
        ({"error_ratio": 2}, "error_ratio is 2: a number above 0 and below 1"),
        ("error_ratio", "is not a list of thresholds such as error_ratio=0.05, error_ratio.crawler=0.1"),
        (5, "5 is not a list of thresholds"),
    ],
)
def test_a_wrong_setting_says_what_would_be_right(given: object, told: str) -> None:
    with pytest.raises(ConfigurationError, match="thresholds") as caught:
        Settings.load(environ={}, thresholds=given)
    assert told in str(caught.value)
