"""The metrics that come with the package: one declaration each.

The first eight are the specification's; the others are what its dashboards and alerts
need on top.  A name here is OpenTelemetry's; ``docs/metrics.md`` shows Prometheus's.
"""

from __future__ import annotations

from otel_monitoring.catalogue.declaration import SECONDS, Declaration
from otel_monitoring.catalogue.kind import Kind

LONG_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Bounds for work that may take minutes, as an agent's does."""

CONNECTION_SECONDS = (0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 10800.0, 43200.0)
"""Bounds for connections that stay open, up to half a day."""

GEN_AI_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
GEN_AI_TOKENS = tuple(4.0**power for power in range(14))
"""Both as OpenTelemetry's generative-AI conventions (semconv 1.37) give them."""

SYSTEM_ERRORS = Declaration(
    name="system_errors",
    kind=Kind.COUNTER,
    unit="{error}",
    labels=("error_type", "component"),
    description="Errors, each counted once whichever way it was reported.",
)
REQUEST_DURATION = Declaration(
    name="request_duration",
    kind=Kind.HISTOGRAM,
    unit="s",
    labels=("endpoint", "method"),
    description="Time from the arrival of an HTTP request to the end of its response.",
    buckets=SECONDS,
)
PROCESSING_TIME = Declaration(
    name="processing_time",
    kind=Kind.HISTOGRAM,
    unit="s",
    labels=("operation", "component"),
    description="Wall time of an operation, however it ended.",
    buckets=LONG_SECONDS,
)
RATE_LIMIT_HITS = Declaration(
    name="rate_limit_hits",
    kind=Kind.COUNTER,
    unit="{hit}",
    labels=("platform", "limit_type"),
    description="Times a platform's rate limit was found exhausted.",
)
MEMORY_USAGE = Declaration(
    name="memory_usage",
    kind=Kind.GAUGE,
    unit="By",
    labels=("component",),
    description="Resident memory of the process.",
)
CPU_USAGE = Declaration(
    name="cpu_usage",
    kind=Kind.GAUGE,
    unit="%",
    labels=("component",),
    description="CPU used since the last reading, in percent of what the process may use.",
)
PROSPECT_SCORE = Declaration(
    name="prospect_score",
    kind=Kind.GAUGE,
    unit="{score}",
    labels=("platform", "score_type"),
    description="The last score given to a prospect, 0 to 1.",
)
ENGAGEMENT = Declaration(
    name="engagement",
    kind=Kind.COUNTER,
    unit="{event}",
    labels=("platform", "metric_type"),
    description="Engagement events: replies, clicks, likes and their kind.",
)

OPERATIONS = Declaration(
    name="operations",
    kind=Kind.COUNTER,
    unit="{operation}",
    labels=("operation", "component", "outcome"),
    description="Operations that ended, by outcome: success, error, cancelled or closed.",
    values=(("outcome", ("success", "error", "cancelled", "closed")),),
)
OPERATIONS_IN_PROGRESS = Declaration(
    name="operations_in_progress",
    kind=Kind.UP_DOWN_COUNTER,
    unit="{operation}",
    labels=("component",),
    description="Operations that have started and not ended.",
)
COMPONENT_LAST_SUCCESS = Declaration(
    name="component_last_success_timestamp",
    kind=Kind.GAUGE,
    unit="s",
    labels=("component",),
    description="When an operation of the component last succeeded, in seconds since 1970.",
)
HTTP_REQUESTS = Declaration(
    name="http_requests",
    kind=Kind.COUNTER,
    unit="{request}",
    labels=("endpoint", "method", "status"),
    description="HTTP requests answered, by class of status: 1xx to 5xx.",
    values=(("status", ("1xx", "2xx", "3xx", "4xx", "5xx")),),
)
WEBSOCKET_CONNECTIONS = Declaration(
    name="websocket_connections",
    kind=Kind.UP_DOWN_COUNTER,
    unit="{connection}",
    labels=("endpoint",),
    description="Websocket connections that are open.",
)
WEBSOCKET_MESSAGES = Declaration(
    name="websocket_messages",
    kind=Kind.COUNTER,
    unit="{message}",
    labels=("endpoint", "direction"),
    description="Messages over websockets, by direction: received or sent.",
    values=(("direction", ("received", "sent")),),
)
WEBSOCKET_DURATION = Declaration(
    name="websocket_duration",
    kind=Kind.HISTOGRAM,
    unit="s",
    labels=("endpoint", "outcome"),
    description="Time from the arrival of a websocket to its end, by outcome: closed, refused or error.",
    buckets=CONNECTION_SECONDS,
    values=(("outcome", ("closed", "refused", "error")),),
)
MEMORY_LIMIT = Declaration(
    name="memory_limit",
    kind=Kind.GAUGE,
    unit="By",
    labels=("component",),
    description="Memory the process may use: the limit of its control group, else the machine's.",
)
RATE_LIMIT_REMAINING = Declaration(
    name="rate_limit_remaining",
    kind=Kind.GAUGE,
    unit="{call}",
    labels=("platform", "limit_type"),
    description="Calls left in the current window of a platform's rate limit.",
)
RATE_LIMIT_QUOTA = Declaration(
    name="rate_limit_quota",
    kind=Kind.GAUGE,
    unit="{call}",
    labels=("platform", "limit_type"),
    description="Calls granted for a whole window of a platform's rate limit.",
)
RATE_LIMIT_RESET = Declaration(
    name="rate_limit_reset_timestamp",
    kind=Kind.GAUGE,
    unit="s",
    labels=("platform", "limit_type"),
    description="When the current window of a platform's rate limit ends, in seconds since 1970.",
)
RATE_LIMIT_WAIT = Declaration(
    name="rate_limit_wait",
    kind=Kind.HISTOGRAM,
    unit="s",
    labels=("platform",),
    description="Time a call waited for a platform's rate limit to open.",
    buckets=LONG_SECONDS,
)
API_REQUESTS = Declaration(
    name="api_requests",
    kind=Kind.COUNTER,
    unit="{request}",
    labels=("platform", "outcome"),
    description=(
        "Calls to a platform, by outcome: success, client_error, auth_error, rate_limited, server_error, timeout "
        "or cancelled."
    ),
    values=(
        ("outcome", ("success", "client_error", "auth_error", "rate_limited", "server_error", "timeout", "cancelled")),
    ),
)
API_REQUEST_DURATION = Declaration(
    name="api_request_duration",
    kind=Kind.HISTOGRAM,
    unit="s",
    labels=("platform",),
    description="Time of a call to a platform, to the end of its answer.",
    buckets=LONG_SECONDS,
)
PROSPECT_SCORE_DISTRIBUTION = Declaration(
    name="prospect_score_distribution",
    kind=Kind.HISTOGRAM,
    unit="{score}",
    labels=("platform", "score_type"),
    description="Scores given to prospects, 0 to 1; recorded together with prospect_score.",
    buckets=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
)
OUTREACH_ATTEMPTS = Declaration(
    name="outreach_attempts",
    kind=Kind.COUNTER,
    unit="{attempt}",
    labels=("platform", "outcome"),
    description="Messages to prospects, by outcome: sent, failed, bounced or skipped.",
)
CONVERSIONS = Declaration(
    name="conversions",
    kind=Kind.COUNTER,
    unit="{conversion}",
    labels=("platform", "conversion_type"),
    description="Prospects who did what the outreach was for.",
)
STREAM_FIRST_ITEM = Declaration(
    name="stream_first_item",
    kind=Kind.HISTOGRAM,
    unit="s",
    labels=("operation", "component"),
    description="Time from the start of a stream to its first item.",
    buckets=LONG_SECONDS,
)
STREAM_ITEMS = Declaration(
    name="stream_items",
    kind=Kind.COUNTER,
    unit="{item}",
    labels=("operation", "component"),
    description="Items that streams have given.",
)
GEN_AI_TOKEN_USAGE = Declaration(
    name="gen_ai.client.token.usage",
    kind=Kind.HISTOGRAM,
    unit="{token}",
    labels=("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.token.type"),
    description="Tokens of a call to a model, by type: input or output.",
    buckets=GEN_AI_TOKENS,
    values=(("gen_ai.token.type", ("input", "output")),),
)
GEN_AI_OPERATION_DURATION = Declaration(
    name="gen_ai.client.operation.duration",
    kind=Kind.HISTOGRAM,
    unit="s",
    labels=("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "error.type"),
    description="Time of a call to a model; error.type is empty where it succeeded.",
    buckets=GEN_AI_SECONDS,
)

# Their label values are our own and few: a small budget of the service must not spoil them.
MONITORING_SERIES = Declaration(
    name="monitoring_series",
    kind=Kind.GAUGE,
    unit="{series}",
    labels=("metric",),
    description="Series that a metric holds now.",
    max_series=10_000,
)
MONITORING_OVERFLOW = Declaration(
    name="monitoring_overflow",
    kind=Kind.COUNTER,
    unit="{measurement}",
    labels=("metric",),
    description="Times that a label set went to a metric's overflow series because its budget of series was spent.",
    max_series=10_000,
)
MONITORING_DROPPED = Declaration(
    name="monitoring_dropped",
    kind=Kind.COUNTER,
    unit="{measurement}",
    labels=("reason",),
    description="Measurements that were dropped because they did not fit their metric, by reason.",
    max_series=100,
)
MONITORING_OVERHEAD = Declaration(
    name="monitoring_overhead",
    kind=Kind.COUNTER,
    unit="s",
    labels=("activity",),
    description="Time the monitoring itself spent outside of recording: answering scrapes, pushing.",
)
MONITORING_EXPORT_FAILURES = Declaration(
    name="monitoring_export_failures",
    kind=Kind.COUNTER,
    unit="{export}",
    labels=("exporter",),
    description="Exports that failed; an export tried again and again counts each time.",
)
MONITORING_ERRORS_STORED = Declaration(
    name="monitoring_errors_stored",
    kind=Kind.COUNTER,
    unit="{error}",
    description="Errors that are in the error store, those counted without details too.",
)
MONITORING_ERRORS_DROPPED = Declaration(
    name="monitoring_errors_dropped",
    kind=Kind.COUNTER,
    unit="{error}",
    labels=("reason",),
    description="Errors that were not stored, or not with all their details (reasons context and too_large).",
    max_series=100,
)

SHIPPED: tuple[Declaration, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Declaration))
"""All of the above, in their order."""
