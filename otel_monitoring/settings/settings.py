"""The one object that holds all settings."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar

from otel_monitoring.catalogue.thresholds import Thresholds
from otel_monitoring.exceptions import ConfigurationError
from otel_monitoring.settings.about import About, Row
from otel_monitoring.settings.kinds import (
    BYTES,
    COUNT,
    DAYS,
    HEADER,
    INTERVAL,
    LABEL_NAMES,
    LABELS,
    LOG_FORMAT,
    LOG_LEVEL,
    METRIC_NAMES,
    NAMES,
    NETWORKS,
    PATH,
    PAUSE,
    PLATFORMS,
    PORT,
    SCRUBBED,
    STORE,
    SWITCH,
    TEXT,
    THRESHOLDS,
    TIMEOUT,
    TOKEN,
    URL,
    USER_NAME,
    WORD,
    MisfitError,
)
from otel_monitoring.settings.shown import default_shown, value_repr, value_shown
from otel_monitoring.settings.sources import PREFIX, Sources

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Settings:
    """All settings, checked; made by :meth:`load`.  What is secret does not show in its repr.

    Attributes:
        offline_by_default: what ``offline`` is where nothing says it; of the class, so that
            the test kit can set it before anything is loaded.
    """

    offline_by_default: ClassVar[bool] = False

    service_name: str = field(
        default="unknown_service",
        metadata={
            "about": About(
                TEXT,
                "The name of the service; Prometheus's job where metrics are pushed.",
                variables=("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES (service.name)"),
            )
        },
    )
    disabled: bool = field(
        default=False,
        metadata={"about": About(SWITCH, "Record, serve and push nothing.", variables=("OTEL_SDK_DISABLED",))},
    )
    offline: bool = field(
        default=False,
        metadata={
            "about": About(
                SWITCH, "Push nothing and keep no errors, whatever else is set; under pytest true unless given."
            )
        },
    )
    release: str | None = field(
        default=None,
        metadata={
            "about": About(
                TEXT,
                "The version of the application that runs; errors are kept with it.",
                variables=("OTEL_RESOURCE_ATTRIBUTES (service.version)",),
            )
        },
    )
    state_dir: str = field(
        default="~/.local/state/otel-monitoring",
        metadata={
            "about": About(
                PATH, "The folder of what outlives the process; in `$XDG_STATE_HOME` where that is set, as is usual."
            )
        },
    )
    strict: bool = field(
        default=False,
        metadata={
            "about": About(
                SWITCH, "Raise on a measurement that does not fit its metric, instead of dropping it; for tests."
            )
        },
    )
    max_series: int = field(
        default=2000,
        metadata={
            "about": About(
                COUNT, "Label sets a metric keeps apart before the rest go to its overflow series.", unit="series"
            )
        },
    )
    resources: bool = field(
        default=True, metadata={"about": About(SWITCH, "Show the memory and the CPU that the process uses.")}
    )
    third_party: bool = field(
        default=True,
        metadata={"about": About(SWITCH, "Show what other libraries record with OpenTelemetry's instruments too.")},
    )
    shutdown_timeout_seconds: float = field(
        default=5.0,
        metadata={"about": About(TIMEOUT, "How long the end of the process may wait for the last export.", unit="s")},
    )
    prometheus_host: str = field(
        default="127.0.0.1",
        metadata={
            "about": About(
                WORD,
                "The address that the stand-alone server listens on.",
                variables=("OTEL_EXPORTER_PROMETHEUS_HOST",),
            )
        },
    )
    prometheus_port: int = field(
        default=9464,
        metadata={
            "about": About(
                PORT,
                "The port that the stand-alone server listens on; 0 takes any that is free.",
                variables=("OTEL_EXPORTER_PROMETHEUS_PORT",),
            )
        },
    )
    prometheus_username: str | None = field(
        default=None, metadata={"about": About(USER_NAME, "The user name that the stand-alone server asks for.")}
    )
    prometheus_password: str | None = field(
        default=None, metadata={"about": About(TEXT, "The password that belongs to it.", secret=True)}
    )
    prometheus_bearer_token: str | None = field(
        default=None,
        metadata={"about": About(TOKEN, "The bearer token that the stand-alone server asks for.", secret=True)},
    )
    prometheus_allow: tuple[str, ...] = field(
        default=(),
        metadata={"about": About(NETWORKS, "The networks that the stand-alone server answers; none listed means all.")},
    )
    created_timestamps: bool = field(
        default=True, metadata={"about": About(SWITCH, "Show in OpenMetrics when each series began (`_created`).")}
    )
    prometheus_push_gateway: str | None = field(
        default=None, metadata={"about": About(URL, "The Pushgateway that metrics are pushed to.")}
    )
    push_job: str | None = field(
        default=None, metadata={"about": About(TEXT, "The job to push under; without it, the name of the service.")}
    )
    push_instance: str | None = field(
        default=None, metadata={"about": About(TEXT, "The instance to push under; without it, the name of the host.")}
    )
    push_grouping: Mapping[str, str] = field(
        default_factory=dict[str, str],
        metadata={"about": About(LABELS, "Further labels of the group that is pushed.")},
    )
    push_interval_seconds: float = field(
        default=15.0,
        metadata={
            "about": About(PAUSE, "The time between two pushes; 0 pushes at exit and on request only.", unit="s")
        },
    )
    push_timeout_seconds: float = field(
        default=5.0, metadata={"about": About(TIMEOUT, "How long one push may take.", unit="s")}
    )
    platforms: Mapping[str, str] = field(
        default_factory=dict[str, str],
        metadata={
            "about": About(
                PLATFORMS,
                "Hosts, with all hosts below them, and the platforms that their HTTP calls are counted under; "
                "calls to a host with an empty platform are not counted.",
            )
        },
    )
    store_errors: bool | str = field(
        default=False,
        metadata={
            "about": About(
                STORE,
                "Keep errors: in this SQLite file or PostgreSQL database, or with true in `errors.db` in `state_dir`.",
            )
        },
    )
    errors_keep_days: float = field(
        default=30.0, metadata={"about": About(DAYS, "How long errors are kept.", unit="days")}
    )
    errors_keep_bytes: int = field(
        default=256 * 2**20,
        metadata={"about": About(BYTES, "How much of them is kept; the oldest go first.", unit="bytes")},
    )
    errors_per_second: int = field(
        default=10,
        metadata={
            "about": About(
                COUNT, "Errors of one group that are kept in detail in a second; those beyond are counted.", unit="1/s"
            )
        },
    )
    errors_spool_dir: str | None = field(
        default=None,
        metadata={
            "about": About(
                PATH,
                "Where errors wait to be stored, on a local disk; else beside the SQLite file, or in `state_dir`.",
            )
        },
    )
    errors_spool_bytes: int = field(
        default=64 * 2**20,
        metadata={"about": About(BYTES, "How much may wait there, for each process.", unit="bytes")},
    )
    errors_locals: bool = field(
        default=False,
        metadata={"about": About(SWITCH, "Keep the local variables of the application's frames, scrubbed.")},
    )
    errors_to_logs: bool = field(
        default=True,
        metadata={
            "about": About(SWITCH, "Hand errors to OpenTelemetry's logs, where the application has a LoggerProvider.")
        },
    )
    errors_to_spans: bool = field(
        default=False, metadata={"about": About(SWITCH, "Add an event to the active span for each error.")}
    )
    errors_uncaught: bool = field(
        default=True,
        metadata={"about": About(SWITCH, "Report exceptions that nobody catches, of the process and its threads.")},
    )
    scrub: tuple[str, ...] = field(
        default=(),
        metadata={
            "about": About(SCRUBBED, "What else is secret in errors and logs: names of values, and patterns of text.")
        },
    )
    scrub_emails: bool = field(
        default=False, metadata={"about": About(SWITCH, "Hide e-mail addresses in errors and logs, too.")}
    )
    log_format: str | None = field(
        default=None,
        metadata={"about": About(LOG_FORMAT, "Write logs in this form; without it, logging is left as it is.")},
    )
    log_level: str = field(default="INFO", metadata={"about": About(LOG_LEVEL, "The lowest level that is logged.")})
    untraced_urls: str | None = field(
        default=None,
        metadata={
            "about": About(
                TEXT,
                "Requests that become no spans: regular expressions of URLs, with commas between.",
                variables=("OTEL_PYTHON_FASTAPI_EXCLUDED_URLS", "OTEL_PYTHON_EXCLUDED_URLS"),
            )
        },
    )
    request_id_header: str = field(
        default="X-Request-ID",
        metadata={
            "about": About(HEADER, "The header in which a web request brings its id; without a fit one, an id is made.")
        },
    )
    zero_code_serve: bool = field(
        default=True,
        metadata={
            "about": About(SWITCH, "Serve the metrics of an application that `otel-monitoring run` has started.")
        },
    )
    zero_code_checklist: bool = field(
        default=True,
        metadata={"about": About(SWITCH, "Say what is instrumented when `otel-monitoring run` starts an application.")},
    )
    disabled_instrumentations: tuple[str, ...] = field(
        default=(),
        metadata={
            "about": About(
                NAMES,
                "What `otel-monitoring run` does not instrument, by the names in its checklist; `*` is all of it.",
                variables=("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",),
            )
        },
    )
    grafana_url: str | None = field(default=None, metadata={"about": About(URL, "The Grafana to manage.")})
    grafana_api_key: str | None = field(
        default=None,
        metadata={
            "about": About(
                WORD, "An API key or service account token; used where a user name is given too.", secret=True
            )
        },
    )
    grafana_username: str | None = field(
        default=None, metadata={"about": About(USER_NAME, "The user name for Grafana.")}
    )
    grafana_password: str | None = field(
        default=None, metadata={"about": About(TEXT, "The password that belongs to it.", secret=True)}
    )
    grafana_timeout_seconds: float = field(
        default=10.0, metadata={"about": About(TIMEOUT, "How long Grafana may take to answer one request.", unit="s")}
    )
    grafana_verify_tls: bool = field(
        default=True, metadata={"about": About(SWITCH, "Check Grafana's certificate, where its address is https.")}
    )
    grafana_ca_file: str | None = field(
        default=None,
        metadata={"about": About(PATH, "The certificates to trust for that, in PEM form; else those of the system.")},
    )
    grafana_organization_id: int | None = field(
        default=None,
        metadata={"about": About(COUNT, "The organisation to work in; without it, that of the credentials.")},
    )
    grafana_folder: str = field(
        default="otel-monitoring",
        metadata={
            "about": About(TEXT, "The title of the folder for dashboards and alert rules; made where it is missing.")
        },
    )
    grafana_datasource: str | None = field(
        default=None,
        metadata={
            "about": About(TEXT, "The uid or the name of the Prometheus to query; without it, the default or only one.")
        },
    )
    grafana_alert_group: str = field(
        default="otel-monitoring",
        metadata={"about": About(TEXT, "The group of alert rules that name none.")},
    )
    grafana_alert_interval_seconds: int = field(
        default=60,
        metadata={"about": About(INTERVAL, "The time between two evaluations of alert rules.", unit="s")},
    )
    grafana_editable: bool = field(
        default=True,
        metadata={"about": About(SWITCH, "Let people change the alert rules in Grafana's UI (no provenance).")},
    )

    foreign_metrics: tuple[str, ...] = field(
        default=(),
        metadata={
            "about": About(
                METRIC_NAMES,
                "Metrics of others that queries of dashboards and alerts may name; `*` stands for any text.",
            )
        },
    )
    target_labels: tuple[str, ...] = field(
        default=(),
        metadata={
            "about": About(
                LABEL_NAMES, "Labels that Prometheus adds to what it scrapes, beside job, instance and usual places."
            )
        },
    )
    thresholds: Thresholds = field(
        default_factory=Thresholds,
        metadata={
            "about": About(
                THRESHOLDS,
                "The limits of the alerts, where they are not to be the default ones: `error_ratio=0.05`, and for one "
                "component `error_ratio.crawler=0.1`.",
            )
        },
    )
    runbooks_url: str | None = field(
        default=None,
        metadata={
            "about": About(
                URL,
                "Where the runbooks are published, for the links in alerts: `/<alert>.md` is put behind it, or the "
                "alert's name in the place of `{alert}`.",
            )
        },
    )
    prometheus_job: str | None = field(
        default=None,
        metadata={
            "about": About(
                TEXT, "The job that Prometheus scrapes this service as; without it, the name of the service."
            )
        },
    )

    @classmethod
    def load(
        cls,
        config: Mapping[str, object] | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        **keywords: object,
    ) -> Settings:
        """Return the settings that keywords, dictionary and environment give together.

        Args:
            config: the dictionary.
            environ: the environment; None takes that of the process.
            keywords: settings by name.

        Raises:
            ConfigurationError: something is unknown or wrong; the message lists all of it.
        """
        sources = Sources(keywords, config, os.environ if environ is None else environ, _ABOUT)
        problems = list(sources.unknown())
        values: dict[str, Any] = {}
        for name, about in _ABOUT.items():
            for place, given in sources.given(name, about):
                try:
                    values.setdefault(name, about.kind.read(given))
                except MisfitError as misfit:
                    values.setdefault(name, None)
                    problems.append(f"{place}: {value_shown(given, about)} is not {about.kind.expected}{misfit}")
        if "state_dir" not in values and (home := sources.environ.get("XDG_STATE_HOME")):
            values["state_dir"] = os.path.join(home, "otel-monitoring")  # noqa: PTH118 (text)
        problems += _disagreements(values, sources)
        if problems:
            raise ConfigurationError(tuple(problems))
        values.setdefault("offline", cls.offline_by_default)
        return cls(**values)

    @classmethod
    def table(cls) -> tuple[Row, ...]:
        """Return the documentation of all settings, a row each."""
        return tuple(
            Row(
                setting.name,
                (PREFIX + setting.name.upper(), *about.variables),
                about.kind.shown,
                default_shown(setting),
                about.unit,
                about.meaning,
            )
            for setting, about in zip(fields(cls), _ABOUT.values(), strict=True)
        )

    def __repr__(self) -> str:
        """Show all settings, secrets and the credentials in addresses hidden."""
        shown = (f"{name}={value_repr(getattr(self, name), about)}" for name, about in _ABOUT.items())
        return f"Settings({', '.join(shown)})"


_ABOUT: dict[str, About] = {setting.name: setting.metadata["about"] for setting in fields(Settings)}


def _disagreements(values: Mapping[str, object], sources: Sources) -> Iterator[str]:
    for server in ("grafana", "prometheus"):
        for given, missing in (("username", "password"), ("password", "username")):
            if f"{server}_{given}" in values and f"{server}_{missing}" not in values:
                yield f"{server}_{given} is given without {server}_{missing}: give both or none"
    if "grafana_url" not in values:
        for name in filter(sources.says, ("grafana_api_key", "grafana_username")):
            yield f"{name} is given without grafana_url: say which Grafana it is for"
