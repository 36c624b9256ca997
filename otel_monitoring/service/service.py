"""The one object that an application has: it joins the rooms and holds what they share."""

from __future__ import annotations

import atexit
import threading
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, ClassVar, Literal, TextIO, TypeVar, overload

from opentelemetry import metrics as otel

from otel_monitoring.catalogue import Declaration, Kind
from otel_monitoring.catalogue.objective import Objectives
from otel_monitoring.catalogue.shipped import (
    MONITORING_EXPORT_FAILURES,
    MONITORING_OVERHEAD,
    PROSPECT_SCORE,
    PROSPECT_SCORE_DISTRIBUTION,
)
from otel_monitoring.errors import Corridor, CountErrors
from otel_monitoring.exceptions import ConfigurationError
from otel_monitoring.export.text import Exposition
from otel_monitoring.instrument.operation import Decorated, Operations
from otel_monitoring.instrument.rate_limits import RateLimits
from otel_monitoring.instrument.spans import Role, Spans
from otel_monitoring.instrument.tokens import Tokens
from otel_monitoring.metrics import Counter, Gauge, Histogram, Registry, UpDownCounter
from otel_monitoring.metrics.meter import CatalogueMeter
from otel_monitoring.service.collected import collected_alerts, collected_dashboards
from otel_monitoring.service.from_settings import opened_store, recorder_of
from otel_monitoring.service.with_grafana import WithGrafana
from otel_monitoring.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime
    from types import TracebackType
    from typing import Self
    from wsgiref.types import WSGIApplication

    from otel_monitoring.catalogue.objective import Objective
    from otel_monitoring.errors.corridor import Sink
    from otel_monitoring.errors.store import ErrorStore
    from otel_monitoring.export.asgi import MetricsApp
    from otel_monitoring.export.bridge import ThirdParty
    from otel_monitoring.export.pushgateway import Pusher
    from otel_monitoring.export.server import MetricsServer
    from otel_monitoring.instrument.clients import Clients
    from otel_monitoring.instrument.operation import Operation
    from otel_monitoring.logs.emit import ErrorLog
    from otel_monitoring.logs.requests import RequestContext

App = TypeVar("App")


class MonitoringService(WithGrafana):
    """Monitoring of one application: metrics, errors, rate limits and their exposition.

    Constructing it opens no port and talks to nobody but what the settings name; recording
    works from the first line.  It flushes when the process ends, or when it is left as a
    context manager.

    Args:
        config: settings by name, as in ``{"prometheus_push_gateway": "http://pushgateway:9091"}``.
        settings: the same by keyword; they win over ``config``.  What neither gives comes
            from the environment (``OTEL_MONITORING_…``, then OpenTelemetry's own variables).

    Raises:
        ConfigurationError: settings are unknown or wrong; the message lists all of them.

    Attributes:
        settings: as they are in force.
        registry: the metrics, from declaration to snapshot.
        objectives: what operations promise, as it was declared beside them.
        watchers: called with each service that is made; the test kit is one.
    """

    watchers: ClassVar[tuple[Callable[[MonitoringService], object], ...]] = ()

    def __init__(self, config: Mapping[str, object] | None = None, **settings: object) -> None:
        self.settings = Settings.load(config, environ=None, **settings)
        self.registry = Registry(max_series=self.settings.max_series, strict=self.settings.strict)
        self.registry.catalogue.allow(
            metrics=self.settings.foreign_metrics,
            labels=(*self.settings.target_labels, *self.settings.push_grouping),
        )
        self._component = self.settings.service_name
        self._corridor = Corridor(self.registry.incidents, [CountErrors(self.registry)], recorder_of(self.settings))
        spans = Spans(self.registry.incidents, enabled=not self.settings.disabled)
        self.objectives = Objectives()
        self.dashboards = collected_dashboards(self.registry.catalogue)
        self.alerts = collected_alerts(self.registry.catalogue)
        self._operations = Operations(
            self.registry, self._report_exception, self._component, spans=spans, objectives=self.objectives
        )
        self._rate_limits = RateLimits(self.registry)
        self._tokens = Tokens(self.registry)
        self._overhead = self.registry.counter(MONITORING_OVERHEAD)
        self._lock = threading.RLock()
        self._undo: list[Callable[[], None]] = []
        self._third_party: ThirdParty | None = None
        self._ending = False
        self._pusher: Pusher | None = None
        self._server: MetricsServer | None = None
        self._error_log: ErrorLog | None = None
        self._error_store: ErrorStore | None = None
        self._clients: Clients | None = None
        self._request_context: RequestContext | None = None
        if not self.settings.disabled:
            self._start()
        self._exposition = Exposition(self.registry, self._third_party, created=self.settings.created_timestamps)
        atexit.register(self.shutdown)
        for watcher in self.watchers:
            watcher(self)

    # Metrics

    def counter(
        self,
        name: str,
        *,
        unit: str = "",
        labels: tuple[str, ...] = (),
        description: str = "",
        max_series: int | None = None,
    ) -> Counter:
        """Declare a sum that only rises; the same declaration gives the same instrument.

        Args:
            name: the OpenTelemetry name; Prometheus shows it with the unit and ``_total``.
            unit: a UCUM unit (``s``, ``By``) or what is counted (``{job}``).
            labels: the names that every measurement has values for.
            description: one sentence.
            max_series: how many label sets are kept apart; None takes the service's setting.

        Raises:
            DeclarationError: something does not fit, or the name is taken.
        """
        return self.registry.counter(
            Declaration(
                name=name, kind=Kind.COUNTER, unit=unit, labels=labels, description=description, max_series=max_series
            )
        )

    def up_down_counter(
        self,
        name: str,
        *,
        unit: str = "",
        labels: tuple[str, ...] = (),
        description: str = "",
        max_series: int | None = None,
    ) -> UpDownCounter:
        """Declare a sum that rises and falls; arguments and errors are those of ``counter``."""
        return self.registry.up_down_counter(
            Declaration(
                name=name,
                kind=Kind.UP_DOWN_COUNTER,
                unit=unit,
                labels=labels,
                description=description,
                max_series=max_series,
            )
        )

    def gauge(
        self,
        name: str,
        *,
        unit: str = "",
        labels: tuple[str, ...] = (),
        description: str = "",
        max_series: int | None = None,
        expire_after_seconds: float | None = None,
    ) -> Gauge:
        """Declare a value that is set; arguments and errors are those of ``counter``.

        With ``expire_after_seconds`` a series that is not set for so long is forgotten.
        """
        return self.registry.gauge(
            Declaration(
                name=name,
                kind=Kind.GAUGE,
                unit=unit,
                labels=labels,
                description=description,
                max_series=max_series,
                expire_after_seconds=expire_after_seconds,
            )
        )

    def histogram(
        self,
        name: str,
        *,
        unit: str = "",
        labels: tuple[str, ...] = (),
        description: str = "",
        buckets: tuple[float, ...],
        max_series: int | None = None,
    ) -> Histogram:
        """Declare a distribution; arguments and errors are those of ``counter``.

        ``buckets`` are the upper bounds in the metric's unit, rising, without infinity.
        """
        return self.registry.histogram(
            Declaration(
                name=name,
                kind=Kind.HISTOGRAM,
                unit=unit,
                labels=labels,
                description=description,
                buckets=buckets,
                max_series=max_series,
            )
        )

    @property
    def meter(self) -> CatalogueMeter:
        """An OpenTelemetry meter: our instrument for what is declared, the stock SDK's for the rest."""
        return CatalogueMeter(self.registry, otel.get_meter("otel_monitoring"))

    def record_metric(self, metric_name: str, value: float, labels: Mapping[str, str] | None = None) -> None:
        """Record to a metric by name: add to a counter, set a gauge, record in a histogram.

        A score goes into ``prospect_score_distribution`` too, as decisions need it.

        Args:
            metric_name: the Prometheus or the OpenTelemetry name.
            value: in the metric's unit.
            labels: a value for each of its labels.

        Raises:
            MeasurementError: nothing is called so, or the measurement does not fit; only with ``strict``.
        """
        instrument = self.registry.find(metric_name)
        if isinstance(instrument, Counter | UpDownCounter):
            instrument.add(value, labels)
        elif isinstance(instrument, Gauge):
            instrument.set(value, labels)
            if instrument.declaration is PROSPECT_SCORE:
                self.registry.histogram(PROSPECT_SCORE_DISTRIBUTION).record(value, labels)
        elif isinstance(instrument, Histogram):
            instrument.record(value, labels)
        else:
            self.registry.incidents.drop("unknown_metric", str(metric_name), lambda: self._unknown(metric_name))

    def record_rate_limit(
        self,
        platform: str,
        limit_type: str,
        remaining: float | None = None,
        reset_time: datetime | float | None = None,
        *,
        limit: float | None = None,
        hit: bool = False,
    ) -> None:
        """Record what a platform says of one of its rate limits.

        Args:
            platform: who limits, for instance ``linkedin``.
            limit_type: which of its limits, for instance ``api``.
            remaining: calls left in the current window; 0 or less counts a hit.
            reset_time: when the window ends: a datetime, in UTC where it names no zone, or
                seconds since 1970.
            limit: calls granted for a whole window.
            hit: the platform has just refused a call; counts a hit whatever remains.
        """
        self._rate_limits.record(platform, limit_type, remaining, reset_time=reset_time, limit=limit, hit=hit)

    @property
    def rate_limits(self) -> RateLimits:
        """What platforms allow: ``status(platform)``, ``await wait(platform, limit_type)`` and ``wait_sync``."""
        return self._rate_limits

    # Errors

    def log_error(
        self,
        error_message: str,
        error_type: str | None = None,
        component: str | None = None,
        context: Mapping[str, object] | None = None,
        *,
        exception: BaseException | None = None,
        fingerprint: str | None = None,
    ) -> None:
        """Log an error through structlog, count it once in ``system_errors_total``, and keep it.

        With ``store_errors`` it is safe from the end of the process, however that ends, when
        this returns.  Secrets in it are hidden before it goes anywhere.

        Args:
            error_message: one line for people.
            error_type: one of few words; without it the exception's class, or ``log_error``.
            component: the part of the service; without it the one bound to structlog's
                context, or the service.
            context: whatever helps to understand it.
            exception: the exception, where there is one; one that was counted before is only logged.
            fingerprint: errors with the same text here are one group, whatever they look like;
                without it they are grouped by their exceptions, code and message.
        """
        with self.registry.incidents.contained("logging an error"):
            self._errors().emit(
                error_message,
                error_type=error_type,
                component=component,
                context=context,
                exception=exception,
                fingerprint=fingerprint,
            )

    @property
    def errors(self) -> ErrorStore:
        """The errors that were kept: ``groups()``, ``events()``, ``resolve(id)`` and more.

        Raises:
            ConfigurationError: errors are not kept, since ``store_errors`` is not set, or ``offline`` is.
        """
        if self._error_store is None:
            offline = self.settings.store_errors and self.settings.offline
            raise ConfigurationError(
                ("offline is set, so that no errors are kept: give offline=False, and they are",)
                if offline
                else ("store_errors is not set: give True, a path or a database URL, and errors are kept",)
            )
        return self._error_store

    def hear_errors(self, sink: Sink) -> Callable[[], None]:
        """Have a function called with each error that is counted from now on, once and scrubbed.

        Args:
            sink: takes an ``ErrorRecord``; what it raises reaches nobody.

        Returns:
            What ends it when called.
        """
        return self._corridor.add_sink(sink)

    def hear_logging(self) -> None:
        """Report errors that are logged with the standard library, and leave its configuration as it is."""
        from otel_monitoring.logs.handler import listen

        self._undo.append(listen(self._corridor, self._component))

    def configure_logging(
        self,
        format: Literal["json", "console"] = "json",  # noqa: A002 (as logging.basicConfig names it)
        *,
        level: int | str | None = None,
        stream: TextIO | None = None,
    ) -> None:
        """Set structlog and ``logging`` up together; an application's own configuration is extended, not replaced.

        Args:
            format: ``json``, one object a line, or ``console``, for people.
            level: of the root logger; None takes the setting ``log_level``.
            stream: where to write; None is ``sys.stderr``.
        """
        from otel_monitoring.logs.configure import configure

        chosen = self.settings.log_level if level is None else level
        undo = configure(self._corridor, default_component=self._component, format=format, level=chosen, stream=stream)
        self._undo.append(undo)

    # Instrumentation

    @overload
    def operation(
        self, name: str | None = None, component: str | None = None, *, objective: Objective | None = None
    ) -> Operation: ...

    @overload
    def operation(self, name: Decorated) -> Decorated: ...

    def operation(
        self,
        name: str | Decorated | None = None,
        component: str | None = None,
        *,
        objective: Objective | None = None,
    ) -> Operation | Decorated:
        """Return a decorator for functions and generators, async or not, which measures a block under ``with`` too.

        Where the application has set up tracing, each call is a span of that name.  Without
        parentheses, as ``@monitoring.operation``, name and component are those left out.

        Args:
            name: the label ``operation``; a function's own name where left out.
            component: the label ``component``; the service's name where left out.
            objective: what it promises; alerts tell when it spends its error budget too fast.

        Raises:
            TypeError: what is decorated is no function.
            DeclarationError: the operation has promised something else before.
        """
        return self._operations.operation(name, component, objective=objective)

    @overload
    def agent(
        self, name: str | None = None, component: str | None = None, *, objective: Objective | None = None
    ) -> Operation: ...

    @overload
    def agent(self, name: Decorated) -> Decorated: ...

    def agent(
        self,
        name: str | Decorated | None = None,
        component: str | None = None,
        *,
        objective: Objective | None = None,
    ) -> Operation | Decorated:
        """Return the like of ``operation`` for an agent: its spans are ``invoke_agent`` and its name."""
        return self._operations.operation(name, component, role=Role.AGENT, objective=objective)

    @overload
    def tool(
        self, name: str | None = None, component: str | None = None, *, objective: Objective | None = None
    ) -> Operation: ...

    @overload
    def tool(self, name: Decorated) -> Decorated: ...

    def tool(
        self,
        name: str | Decorated | None = None,
        component: str | None = None,
        *,
        objective: Objective | None = None,
    ) -> Operation | Decorated:
        """Return the like of ``operation`` for a tool of an agent: its spans are ``execute_tool`` and its name."""
        return self._operations.operation(name, component, role=Role.TOOL, objective=objective)

    def record_tokens(
        self,
        model: str,
        input: int | None = None,  # noqa: A002 (as the conventions name it)
        output: int | None = None,
        *,
        provider: str = "",
        operation: str = "chat",
        duration_seconds: float | None = None,
        error_type: str = "",
    ) -> None:
        """Record the tokens of one call to a model, in the current agent's or tool's span too, and its time.

        Args:
            model: as it was asked for, for instance ``claude-sonnet-4-5``.
            input: tokens of the prompt, those from a cache too; None where it is not known.
            output: tokens of the answer; None where it is not known.
            provider: who runs the model, for instance ``anthropic``.
            operation: what was asked of it, as OpenTelemetry's conventions name it.
            duration_seconds: how long the call took, to the end of its answer; None where it is not known.
            error_type: how it failed, as the class of an exception; empty where it did not.

        Raises:
            MeasurementError: a number is none of tokens, or of seconds; only with ``strict``.
        """
        self._tokens.record(
            model,
            input,
            output,
            provider=provider,
            operation=operation,
            duration_seconds=duration_seconds,
            error_type=error_type,
        )

    @overload
    def instrument(self, app: None = None) -> None: ...

    @overload
    def instrument(self, app: App, *, metrics_path: str | None = None, excluded: Collection[str] = ()) -> App: ...

    def instrument(
        self, app: App | None = None, *, metrics_path: str | None = None, excluded: Collection[str] = ()
    ) -> App | None:
        """Measure a web application, an HTTP client, or, without any, every HTTP client library installed.

        Of an application: durations, requests by class of status, unhandled exceptions, spans.
        Of clients: calls by platform and outcome, their durations, and the rate limits that answers tell of.

        Args:
            app: a FastAPI, Starlette or Flask application, what Django's ``get_wsgi_application()`` or
                ``get_asgi_application()`` gives, any other ASGI or WSGI application; or a client of
                httpx2, httpx, requests, aiohttp, urllib3 or niquests.
            metrics_path: where the application shall show the metrics, such as ``/metrics``.
            excluded: route templates that are not measured, such as ``/health``; where no route is
                known, paths.

        Returns:
            The application to serve: the same object for FastAPI, Starlette, Flask and clients,
            another one around it for the rest.

        Raises:
            ConfigurationError: the application runs already, or has a route of that path.
            TypeError: it is none of those.
        """
        if self.settings.disabled:
            return app
        if app is None:
            self._http_clients().hook_all()
            return None
        if self._http_clients().hook(app):
            return app
        return self._instrument_application(app, metrics_path, excluded)

    def _instrument_application(self, app: App, metrics_path: str | None, excluded: Collection[str]) -> App:
        from otel_monitoring.export.asgi import MetricsApp
        from otel_monitoring.export.wsgi import metrics_wsgi
        from otel_monitoring.instrument.applications import watch_application
        from otel_monitoring.instrument.requests import Watch
        from otel_monitoring.logs.requests import RequestContext

        if metrics_path is not None:
            self._expect_scrapes()
        if self._request_context is None:
            self._request_context = RequestContext()
        watch = Watch(
            registry=self.registry,
            report=self._report_request,
            excluded=excluded,
            metrics_path=metrics_path,
            metrics_app=MetricsApp(self.exposition),
            metrics_wsgi=metrics_wsgi(self.exposition),
            untraced=self.settings.untraced_urls or "",
            logs=self._request_context,
            request_id_header=self.settings.request_id_header,
        )
        served = watch_application(app, watch)
        if self._third_party is not None:
            # New releases of FastAPI measure requests themselves, as soon as there is a MeterProvider.
            self._third_party.leave_to_us("fastapi")
        return served

    def instrument_clients(self, *libraries: str) -> None:
        """Measure the HTTP clients of these libraries alone, as ``instrument()`` does those of all.

        Args:
            libraries: by the names they are imported under, such as ``requests``.

        Raises:
            ValueError: a library is none of those that can be measured.
        """
        if not self.settings.disabled:
            self._http_clients().hook_all(libraries)

    def _http_clients(self) -> Clients:
        with self._lock:
            if self._clients is None:
                from otel_monitoring.instrument.calls import Calls
                from otel_monitoring.instrument.clients import Clients
                from otel_monitoring.instrument.platforms import Platforms

                calls = Calls(self.registry, self._rate_limits, Platforms(self.settings.platforms))
                self._clients = Clients(calls)
                self._undo.append(self._clients.unhook)
            return self._clients

    # Exposition

    def exposition(self, accept: str | None = None) -> tuple[bytes, str]:
        """Return all metrics as Prometheus takes them, and their content type.

        Args:
            accept: an HTTP Accept header; OpenMetrics 1.0 where it asks for it, else text 0.0.4.
        """
        return self._render(accept, "scrape")

    def asgi_app(self) -> MetricsApp:
        """Return an ASGI application that shows the metrics, to be mounted where they shall be."""
        from otel_monitoring.export.asgi import MetricsApp

        self._expect_scrapes()
        return MetricsApp(self.exposition)

    def wsgi_app(self) -> WSGIApplication:
        """Return a WSGI application that shows the metrics, to be mounted where they shall be."""
        from otel_monitoring.export.wsgi import metrics_wsgi

        self._expect_scrapes()
        return metrics_wsgi(self.exposition)

    def serve(self, port: int | None = None, host: str | None = None, *, provide: bool = True) -> MetricsServer:
        """Serve ``/metrics`` on a port of its own, from threads of its own.

        Args:
            port: None takes the setting ``prometheus_port`` (9464), 0 any free one.
            host: None takes the setting ``prometheus_host`` (127.0.0.1).
            provide: set an OpenTelemetry MeterProvider now where the application has set none;
                without it that is left to the first scrape, so that the application may come first.

        Returns:
            The server, with its ``url``; the one that runs already where there is one.

        Raises:
            ServerError: the port cannot be had; the message says what to do.
        """
        from otel_monitoring.export.access import Access
        from otel_monitoring.export.server import MetricsServer

        settings = self.settings
        self._expect_scrapes()
        if provide:
            self._attach_third_party()
        with self._lock:
            if self._server is None or not self._server.running:
                access = Access(
                    username=settings.prometheus_username,
                    password=settings.prometheus_password,
                    bearer_token=settings.prometheus_bearer_token,
                    networks=settings.prometheus_allow,
                )
                self._server = MetricsServer(
                    self.exposition,
                    settings.prometheus_host if host is None else host,
                    settings.prometheus_port if port is None else port,
                    access=access,
                ).start()
            return self._server

    def push(self, timeout_seconds: float | None = None) -> bool:
        """Push the metrics to the Pushgateway now.

        Args:
            timeout_seconds: after which the caller goes on; None takes ``push_timeout_seconds``.

        Returns:
            Whether the gateway has taken them; a failure raises nothing and is counted.
            With ``offline`` nothing is sent, as if it had.

        Raises:
            ConfigurationError: there is no ``prometheus_push_gateway``.
        """
        return self._pushes_nowhere or self._pushing().flush(self._push_timeout(timeout_seconds))

    def delete_pushed(self, timeout_seconds: float | None = None) -> bool:
        """Remove from the Pushgateway what was pushed, and push no more; arguments are those of ``push``."""
        return self._pushes_nowhere or self._pushing().delete(self._push_timeout(timeout_seconds))

    # Life

    def shutdown(self, timeout_seconds: float | None = None) -> None:
        """Push a last time and close what is open; nothing happens the second time.

        What has been recorded stays readable, and recording goes on.

        Args:
            timeout_seconds: all of it takes at most this; None takes ``shutdown_timeout_seconds``.
        """
        atexit.unregister(self.shutdown)
        self._ending = True
        bound = self.settings.shutdown_timeout_seconds if timeout_seconds is None else timeout_seconds
        until = monotonic() + bound
        with self.registry.incidents.contained("shutting down"):
            if self._pusher is not None:
                self._pusher.shutdown(until - monotonic())
            if self._server is not None:
                self._server.stop(max(0.0, until - monotonic()))
            if self._third_party is not None:
                self._third_party.shutdown(max(0.0, until - monotonic()))
            if self._error_store is not None:
                self._error_store.close(max(0.0, until - monotonic()))
            while self._undo:
                self._undo.pop()()

    def __enter__(self) -> Self:
        """Return the service itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Shut it down."""
        self.shutdown()

    # The pieces

    def _start(self) -> None:
        settings = self.settings
        self._errors()  # what it imports is there before the first error: a child forked meanwhile would wait for it
        self._start_keeping_errors()
        if settings.resources:
            from otel_monitoring.instrument.resources import ResourceFigures

            ResourceFigures(self.registry, self._component)
        if settings.third_party:
            from otel_monitoring.export.bridge import ThirdParty

            # A MeterProvider is made with the first exposition, or when served: an application
            # that sets its own while it starts comes first.
            self._third_party = ThirdParty({"service.name": settings.service_name})
            self._third_party.attach(make=False)
        if settings.prometheus_push_gateway is not None and not settings.offline:
            self._expect_scrapes()
            self._pusher = self._make_pusher(settings.prometheus_push_gateway)
            self._pusher.start()
        if settings.log_format is not None:
            self.configure_logging("json" if settings.log_format == "json" else "console")
        else:
            from otel_monitoring.logs.chain import install

            self._undo.append(install(self._corridor, self._component))

    def _start_keeping_errors(self) -> None:
        settings = self.settings
        if settings.store_errors and not settings.offline:
            opened = opened_store(settings, self.registry, self._corridor.recorder.scrubber)
            self._error_store = opened.store
            self._corridor.add_sink(opened.keep)
            with self.registry.incidents.contained("looking for errors that were left"):
                opened.store.begin()
        if settings.errors_to_logs:
            from otel_monitoring.errors.telemetry import LogErrors

            self._corridor.add_sink(LogErrors())
        if settings.errors_to_spans:
            from otel_monitoring.errors.telemetry import SpanEvents

            self._corridor.add_sink(SpanEvents())
        if settings.errors_uncaught:
            from otel_monitoring.instrument.uncaught import watch

            self._undo.append(watch(self._report_uncaught))

    def _make_pusher(self, url: str) -> Pusher:
        import socket

        from otel_monitoring.export.pushgateway import Pusher, Pushgateway

        settings = self.settings
        failures = self.registry.counter(MONITORING_EXPORT_FAILURES).labels(exporter="pushgateway")
        gateway = Pushgateway(
            url,
            settings.push_job or settings.service_name,
            settings.push_instance or socket.gethostname(),
            grouping=settings.push_grouping,
            timeout_seconds=settings.push_timeout_seconds,
        )
        return Pusher(
            gateway,
            self._render_for_push,
            incidents=self.registry.incidents,
            failed=failures.add,
            interval_seconds=settings.push_interval_seconds or None,
        )

    def _render_for_push(self, accept: str | None) -> tuple[bytes, str]:
        return self._render(accept, "push")

    def _render(self, accept: str | None, activity: str) -> tuple[bytes, str]:
        started = perf_counter()
        self._attach_third_party()
        rendered = self._exposition.render(accept)
        self._overhead.add(perf_counter() - started, {"activity": activity})
        return rendered

    def _expect_scrapes(self) -> None:
        if self._third_party is not None:
            with self.registry.incidents.contained("preparing to read third-party instruments"):
                self._third_party.expect_scrapes()

    def _attach_third_party(self) -> None:
        if self._third_party is not None:
            with self.registry.incidents.contained("reading third-party instruments"):
                # At the end of the process the SDK cannot be started any more, and nobody has recorded to it.
                self._third_party.attach(make=not self._ending)

    @property
    def _pushes_nowhere(self) -> bool:
        return self.settings.offline and self.settings.prometheus_push_gateway is not None

    def _pushing(self) -> Pusher:
        if self._pusher is None:
            raise ConfigurationError(
                ("prometheus_push_gateway is not set: give the address of a Pushgateway, as 'http://pushgateway:9091'",)
            )
        return self._pusher

    def _push_timeout(self, timeout_seconds: float | None) -> float:
        return self.settings.push_timeout_seconds if timeout_seconds is None else timeout_seconds

    def _errors(self) -> ErrorLog:
        if self._error_log is None:
            from otel_monitoring.logs.emit import ErrorLog

            self._error_log = ErrorLog(self._corridor, self._component)
        return self._error_log

    def _report_exception(self, error: BaseException, *, component: str) -> None:
        self._corridor.report_exception(error, component=component)

    def _report_request(self, error: Exception, *, endpoint: str, method: str) -> None:
        ids = {} if self._request_context is None else self._request_context.current()
        context = {"endpoint": endpoint, "method": method, **ids}
        self._corridor.report_exception(error, component=self._component, context=context)

    def _report_uncaught(self, error: BaseException, *, context: Mapping[str, object]) -> None:
        with self.registry.incidents.contained("reporting an uncaught exception"):
            self._corridor.report_exception(error, component=self._component, context=context)

    def _unknown(self, metric_name: object) -> str:
        found = self.registry.catalogue.nearest(str(metric_name))
        meant = f"; did you mean {found!r}?" if found else "."
        return f"no metric is called {metric_name!r}{meant} Declare your own with counter(), gauge() or histogram()"
