"""Settings: where they come from, which comes first, and what is said of wrong ones."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_monitoring.exceptions import ConfigurationError
from otel_monitoring.settings import Settings

NAMES = [row.name for row in Settings.table()]
SECRETS = ("grafana_api_key", "grafana_password", "prometheus_password", "prometheus_bearer_token")


def load(config: Any = None, *, environ: Any = None, **keywords: Any) -> Settings:
    """Load settings in an environment that holds only what is given."""
    return Settings.load(config, environ=environ or {}, **keywords)


def problems_of(config: Any = None, *, environ: Any = None, **keywords: Any) -> tuple[str, ...]:
    """Return what is said of settings that are wrong."""
    with pytest.raises(ConfigurationError) as caught:
        load(config, environ=environ, **keywords)
    return caught.value.problems


def test_nothing_needs_to_be_given() -> None:
    """Without any configuration every setting has its default."""
    assert load() == Settings()


def test_the_dictionary_of_the_specification_is_right() -> None:
    """The specification's dictionary is taken as it stands."""
    settings = load(
        {
            "grafana_url": "http://grafana:3000",
            "grafana_api_key": "your-api-key",
            "grafana_username": "admin",
            "grafana_password": "password",
            "prometheus_push_gateway": "http://pushgateway:9091",
            "store_errors": True,
        }
    )
    assert settings.grafana_url == "http://grafana:3000"
    assert settings.prometheus_push_gateway == "http://pushgateway:9091"
    assert settings.store_errors is True


def test_the_strongest_source_wins() -> None:
    """A keyword beats the dictionary, which beats our variable, which beats OpenTelemetry's."""
    environ = {"OTEL_EXPORTER_PROMETHEUS_PORT": "4"}
    assert load(environ=environ).prometheus_port == 4
    environ["OTEL_MONITORING_PROMETHEUS_PORT"] = "3"
    assert load(environ=environ).prometheus_port == 3
    assert load({"prometheus_port": 2}, environ=environ).prometheus_port == 2
    assert load({"prometheus_port": 2}, environ=environ, prometheus_port=1).prometheus_port == 1


def test_the_environment_of_the_process_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no environment is passed in, it is that of the process."""
    monkeypatch.setenv("OTEL_MONITORING_MAX_SERIES", "7")
    assert Settings.load().max_series == 7


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"OTEL_SERVICE_NAME": "mail", "OTEL_RESOURCE_ATTRIBUTES": "service.name=other"}, "mail"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "host.name=a, service.name = my%20mail ,x"}, "my mail"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "host.name=a"}, "unknown_service"),
        ({"OTEL_SERVICE_NAME": " "}, "unknown_service"),
    ],
)
def test_the_service_is_named_as_opentelemetry_does(environ: dict[str, str], name: str) -> None:
    """The service's name is found in OpenTelemetry's two variables, the more exact one first."""
    assert load(environ=environ).service_name == name


def test_opentelemetry_s_variables_are_checked_only_where_they_count() -> None:
    """A variable that others read too is no problem while our own setting overrides it."""
    environ = {"OTEL_EXPORTER_PROMETHEUS_PORT": "many"}
    assert load(environ=environ, prometheus_port=1).prometheus_port == 1
    assert problems_of(environ=environ)[0].startswith("environment variable OTEL_EXPORTER_PROMETHEUS_PORT: 'many' is")


@pytest.mark.parametrize("blank", [None, "", " "])
def test_none_and_empty_text_mean_not_given(blank: str | None) -> None:
    """Settings that are handed on without a value leave the next source its turn."""
    environ = {"OTEL_MONITORING_PROMETHEUS_HOST": "10.0.0.1"}
    settings = load({"prometheus_host": blank, "grafana_api_key": blank}, environ=environ, prometheus_host=blank)
    assert settings.prometheus_host == "10.0.0.1"
    assert settings.grafana_api_key is None


@pytest.mark.parametrize(
    ("name", "given_value", "kept"),
    [
        ("strict", "Yes", True),
        ("strict", "off", False),
        ("strict", "0", False),
        ("prometheus_port", "9464", 9464),
        ("prometheus_port", 0, 0),
        ("push_interval_seconds", "0", 0.0),
        ("push_timeout_seconds", 3, 3.0),
        ("store_errors", "true", True),
        ("store_errors", "errors.db", "errors.db"),
        ("store_errors", Path("errors.db"), "errors.db"),
        ("store_errors", " postgresql://db.example/errors ", "postgresql://db.example/errors"),
        ("store_errors", "sqlite:///errors.db", "sqlite:///errors.db"),
        ("state_dir", Path("/var/lib/x"), "/var/lib/x"),
        ("errors_keep_days", "0.5", 0.5),
        ("errors_keep_bytes", 1000, 1000),
        ("errors_keep_bytes", "64MiB", 64 * 2**20),
        ("errors_keep_bytes", "1.5 GB", 1_500_000_000),
        ("errors_spool_bytes", "512 b", 512),
        ("scrub", "customer_no, iban", ("customer_no", "iban")),
        ("scrub", r"iban,/A{2,3}-\d+/, /a\/b/", ("iban", r"/A{2,3}-\d+/", r"/a\/b/")),
        ("scrub", ["iban", "/x,y/"], ("iban", "/x,y/")),
        ("log_level", "debug", "DEBUG"),
        ("log_format", "JSON", "json"),
        ("grafana_url", "https://grafana.example/", "https://grafana.example"),
        ("prometheus_allow", "10.0.0.0/8, ::1", ("10.0.0.0/8", "::1/128")),
        ("prometheus_allow", ["127.0.0.1"], ("127.0.0.1/32",)),
        ("foreign_metrics", "node_*, queue_length", ("node_*", "queue_length")),
        ("foreign_metrics", ["node_*"], ("node_*",)),
        ("target_labels", "team, rack", ("team", "rack")),
        ("push_grouping", "region=eu,zone=a%2Cb", {"region": "eu", "zone": "a,b"}),
        ("push_grouping", {"region": "eu"}, {"region": "eu"}),
        ("request_id_header", " X-Correlation-ID ", "X-Correlation-ID"),
        (
            "platforms",
            "API.Example.com=acme, [::1]=here,localhost=",
            {"api.example.com": "acme", "::1": "here", "localhost": ""},
        ),
        ("platforms", {"api.example.com": "acme"}, {"api.example.com": "acme"}),
    ],
)
def test_values_are_read(name: str, given_value: object, kept: object) -> None:
    """Text is read alike from everywhere, and what has its type already is kept."""
    assert getattr(load({name: given_value}), name) == kept
    if isinstance(given_value, str):
        assert getattr(load(environ={f"OTEL_MONITORING_{name.upper()}": given_value}), name) == kept


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("prometheus_port", True),
        ("prometheus_port", 65_536),
        ("prometheus_port", -1),
        ("prometheus_port", 9464.5),
        ("prometheus_port", "http"),
        ("max_series", 0),
        ("max_series", 10**400),
        ("strict", 1),
        ("strict", "perhaps"),
        ("store_errors", 1),
        ("store_errors", "mysql://db.example/errors"),
        ("errors_keep_days", 0),
        ("errors_keep_bytes", "many"),
        ("errors_keep_bytes", "64XB"),
        ("errors_keep_bytes", 0),
        ("errors_per_second", 0),
        ("state_dir", 7),
        ("scrub", 7),
        ("scrub", "/(/"),
        ("scrub", ["//"]),
        ("scrub", [""]),
        ("push_interval_seconds", float("nan")),
        ("push_interval_seconds", "1e999"),
        ("push_timeout_seconds", 0),
        ("grafana_url", "grafana:3000"),
        ("grafana_url", "http://"),
        ("grafana_url", "http://[::1"),
        ("grafana_url", "http://grafana:port"),
        ("grafana_url", "http://grafana/?orgId=1"),
        ("grafana_url", 3000),
        ("grafana_username", "a:b"),
        ("grafana_api_key", "key\n"),
        ("service_name", "\ud800"),
        ("log_format", "xml"),
        ("prometheus_allow", "everybody"),
        ("prometheus_allow", 10),
        ("prometheus_allow", [10]),
        ("foreign_metrics", "node-load"),
        ("foreign_metrics", 5),
        ("foreign_metrics", [5]),
        ("target_labels", "__meta"),
        ("push_grouping", "region"),
        ("request_id_header", "X Request"),
        ("request_id_header", "X_REQUEST_ID"),
        ("request_id_header", "X-Request-ID:"),
        ("request_id_header", 3),
        ("platforms", "api.example.com"),
        ("platforms", "https://api.example.com=acme"),
        ("platforms", {"api.example.com:443": "acme"}),
        ("platforms", {".": "acme"}),
        ("platforms", {"api.example.com": 5}),
        ("platforms", ["api.example.com"]),
        ("push_grouping", {"a-b": "c"}),
        ("push_grouping", {"region": ""}),
        ("push_grouping", {"instance": "a"}),
        ("push_grouping", ["region"]),
    ],
)
def test_a_wrong_value_is_a_problem(name: str, wrong: object) -> None:
    """What does not fit is refused with the place that it came from."""
    assert any(problem.startswith(f"keyword {name!r}: ") for problem in problems_of(**{name: wrong}))


def test_what_outlives_the_process_lies_where_the_system_says() -> None:
    """``XDG_STATE_HOME`` is heeded, unless the folder is given."""
    assert load(environ={"XDG_STATE_HOME": "/var/state"}).state_dir == "/var/state/otel-monitoring"
    assert load(environ={"XDG_STATE_HOME": "/var/state"}, state_dir="/here").state_dir == "/here"
    assert load().state_dir == "~/.local/state/otel-monitoring"


def test_an_unknown_database_is_named_with_those_that_are_known() -> None:
    """The message says what would be right."""
    (problem,) = problems_of(store_errors="mysql://db.example/errors")
    assert "'mysql' is none of postgres, postgresql, sqlite" in problem


def test_every_problem_is_listed_at_once() -> None:
    """One error names all problems, each with its place and, where one comes close, the right name."""
    problems = problems_of(
        {"grafana_ulr": "http://grafana", "MAX_SERIES": 3, 5: 6, "prometheus_port": "x"},
        environ={"OTEL_MONITORING_LOG_LEVL": "INFO", "OTEL_MONITORING_STRICT": "perhaps"},
        log_format="jsn",
    )
    assert problems == (
        "dictionary key 'grafana_ulr': there is no such setting; did you mean 'grafana_url'?",
        "dictionary key 'MAX_SERIES': there is no such setting; did you mean 'max_series'?",
        "dictionary key of type int: there is no such setting",
        (
            "environment variable 'OTEL_MONITORING_LOG_LEVL': there is no such setting; "
            "did you mean 'OTEL_MONITORING_LOG_LEVEL'?"
        ),
        "environment variable OTEL_MONITORING_STRICT: 'perhaps' is not true or false",
        "dictionary key 'prometheus_port': 'x' is not a port: a whole number from 0 to 65535",
        "keyword 'log_format': 'jsn' is not one of json, console; did you mean 'json'?",
    )


def test_an_overridden_mistake_shows_too() -> None:
    """A wrong value in one place is reported although another place overrides it."""
    (problem,) = problems_of(environ={"OTEL_MONITORING_MAX_SERIES": "many"}, max_series=3)
    assert problem.startswith("environment variable OTEL_MONITORING_MAX_SERIES: 'many'")


def test_the_configuration_is_a_dictionary() -> None:
    """Something else in its place is named for what it is."""
    assert problems_of([("strict", True)]) == ("config: a list is not a dictionary",)


def test_a_network_with_host_bits_is_put_right() -> None:
    """The network that was probably meant is in the message."""
    (problem,) = problems_of(prometheus_allow="10.1.2.3/8")
    assert problem.endswith("did you mean '10.0.0.0/8'?")


@pytest.mark.parametrize("server", ["grafana", "prometheus"])
def test_a_user_name_needs_a_password_and_a_password_a_user_name(server: str) -> None:
    """Half of a pair is a problem that names the other half."""
    config = {"grafana_url": "http://grafana"}
    user, password = f"{server}_username", f"{server}_password"
    assert problems_of(config, **{user: "a"}) == (f"{user} is given without {password}: give both or none",)
    assert problems_of(config, **{password: "a"}) == (f"{password} is given without {user}: give both or none",)
    assert getattr(load(config, **{user: "a", password: "b"}), password) == "b"


def test_a_wrong_half_of_a_pair_is_not_taken_for_missing() -> None:
    """A user name with a bad value is one problem, not two."""
    assert len(problems_of(prometheus_username="a:b", prometheus_password="c")) == 1


def test_credentials_need_a_grafana() -> None:
    """A key without the address that it is for is a problem."""
    assert problems_of(grafana_api_key="k") == (
        "grafana_api_key is given without grafana_url: say which Grafana it is for",
    )


def test_credentials_in_the_environment_may_wait_for_an_address() -> None:
    """A command gets it by an option, or from the service that it imports."""
    waiting = {"OTEL_MONITORING_GRAFANA_API_KEY": "k"}
    assert load(environ=waiting).grafana_url is None
    assert load(grafana_url="http://grafana", environ=waiting).grafana_api_key == "k"


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_never_shows(name: str) -> None:
    """Neither the representation nor a message holds a secret."""
    settings = load(
        grafana_url="http://grafana",
        **{"grafana_username": "u", "grafana_password": "p", "prometheus_username": "u", "prometheus_password": "p"}
        | {name: "hunter2"},
    )
    assert getattr(settings, name) == "hunter2"
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(settings)
    assert not any("hunter2" in problem for problem in problems_of(**{name: "hunter2\n"}))
    assert not any("hunter2" in problem for problem in problems_of(**{name: ["hunter2"]}))


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("grafana_url", "http://user:hunter2@grafana"),
        ("prometheus_push_gateway", "https://user:hunter2@gateway:9091/a"),
        ("store_errors", "postgresql://user:hunter2@host/errors"),
        ("store_errors", "postgresql://host/errors?password=hunter2"),
        ("store_errors", "postgresql://user:hun/ter2@hunter2@host/errors"),
    ],
)
def test_credentials_in_an_address_do_not_show(name: str, address: str) -> None:
    """They are kept for use and hidden in the representation."""
    settings = load(**{name: address})
    assert getattr(settings, name) == address
    assert "hunter2" not in repr(settings)
    assert "***" in repr(settings)


@pytest.mark.parametrize("url", ["ftp://user:hunter2@grafana", "http://user:hunter2@[grafana", "user:hunter2@grafana"])
def test_credentials_in_a_wrong_address_do_not_show(url: str) -> None:
    """The message about a wrong address hides what stands before its host."""
    assert not any("hunter2" in problem for problem in problems_of(grafana_url=url))


def test_the_table_documents_every_setting() -> None:
    """Each setting is there once, with its variables, its type, its default and a sentence."""
    rows = {row.name: row for row in Settings.table()}
    assert len(rows) == len(Settings.table())
    assert all(row.type and row.meaning.endswith(".") for row in rows.values())
    assert rows["prometheus_port"].variables == ("OTEL_MONITORING_PROMETHEUS_PORT", "OTEL_EXPORTER_PROMETHEUS_PORT")
    assert rows["prometheus_port"].default == "9464"
    assert rows["strict"].default == "false"
    assert all(row.unit for name, row in rows.items() if name.endswith("_seconds"))


@pytest.mark.parametrize("row", Settings.table(), ids=lambda row: row.name)
def test_each_default_that_is_documented_reads_as_that_default(row: tuple[str, tuple[str, ...], str, str]) -> None:
    """What the table shows as a default, set by hand, changes nothing."""
    name, (variable, *_), _, default, *_ = row
    assert load(environ={variable: default}) == Settings()
    assert load({name: default}) == Settings()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(NAMES) | st.text()


@given(
    config=st.dictionaries(KEYS, JSON),
    keywords=st.dictionaries(st.sampled_from(NAMES), JSON, max_size=3),
    environ=st.dictionaries(KEYS.map(lambda key: f"OTEL_MONITORING_{key.upper()}"), st.text()),
)
def test_whatever_is_given_only_configuration_errors_are_raised(
    config: dict[str, object], keywords: dict[str, object], environ: dict[str, str]
) -> None:
    """Any values at all either load or are listed as problems; nothing else is raised."""
    try:
        settings = load(config, environ=environ, **keywords)
    except ConfigurationError as error:
        assert error.problems
        assert str(error).count("\n  - ") >= len(error.problems)
    else:
        assert re.match(r"Settings\(service_name=", repr(settings))


@given(name=st.sampled_from(NAMES), value=JSON)
def test_what_was_loaded_loads_again(name: str, value: object) -> None:
    """A value that was accepted comes out in a form that is accepted, and stays the same."""
    try:
        kept = getattr(load({name: value}), name)
    except ConfigurationError:
        return
    assert getattr(load({name: kept}), name) == kept
