"""Finds out what kind of web application an object is, and has it watched.

What a framework's objects are is looked up among the modules that are loaded: an
application of it cannot be there without them, and nothing is imported in vain.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, TypeVar, cast

from otel_monitoring.instrument.layers import find, is_a

if TYPE_CHECKING:
    from collections.abc import Callable
    from wsgiref.types import WSGIApplication

    from django.core.handlers.asgi import ASGIHandler
    from django.core.handlers.wsgi import WSGIHandler
    from flask import Flask
    from starlette.applications import Starlette

    from otel_monitoring.instrument.requests import Watch
    from otel_monitoring.instrument.web import ASGIApp

A = TypeVar("A")

_TAKEN = (
    "a FastAPI, Starlette or Flask application, what Django's get_wsgi_application() or get_asgi_application() "
    "gives, any other ASGI or WSGI application, or an HTTP client"
)


def watch_application(app: A, watch: Watch) -> A:
    """Have the requests of an application watched; return what to serve.

    That is the same object for FastAPI, Starlette and Flask, and another one around it for
    the rest.

    Raises:
        ConfigurationError: the application runs already, or the metrics path cannot be used.
        TypeError: it is no application.
    """
    for known in (_framework, _protocol):
        watched = known(app, watch)
        if watched is not None:
            return cast("A", watched)
    raise TypeError(f"instrument() takes {_TAKEN}; {app!r} is none of them{_hint(app)}")


def _framework(app: object, watch: Watch) -> object | None:
    if is_a(app, "starlette.applications", "Starlette"):
        from otel_monitoring.instrument.asgi import instrument_app

        instrument_app(cast("Starlette", app), watch)
        return app
    if is_a(app, "flask", "Flask"):
        from otel_monitoring.instrument.flask import instrument_flask

        instrument_flask(cast("Flask", app), watch)
        return app
    return None


def _protocol(app: object, watch: Watch) -> object | None:
    if not callable(app) or inspect.isclass(app):
        return None
    if _is_asgi(app):
        return _watched_asgi(cast("ASGIApp", app), watch)
    return _watched_wsgi(cast("WSGIApplication", app), watch) if _takes(app, 2) else None


def _watched_asgi(app: ASGIApp, watch: Watch) -> ASGIApp:
    from otel_monitoring.instrument.asgi import wrap_asgi

    handler = find(app, "django.core.handlers.asgi", "ASGIHandler")
    if handler is None:
        return wrap_asgi(app, watch)
    from otel_monitoring.instrument.django import instrument_asgi_handler

    return instrument_asgi_handler(app, cast("ASGIHandler", handler), watch)


def _watched_wsgi(app: WSGIApplication, watch: Watch) -> WSGIApplication:
    from otel_monitoring.instrument.flask import FlaskTemplates, hear_flask, refuse_own_path
    from otel_monitoring.instrument.wsgi import WSGIRequestMetrics

    handler = find(app, "django.core.handlers.wsgi", "WSGIHandler")
    if handler is not None:
        from otel_monitoring.instrument.django import instrument_wsgi_handler

        return instrument_wsgi_handler(app, cast("WSGIHandler", handler), watch)
    flask = cast("Flask | None", find(app, "flask", "Flask"))
    if flask is None:
        metrics = WSGIRequestMetrics(app, watch)
    else:
        refuse_own_path(flask, watch)
        metrics = WSGIRequestMetrics(app, watch, FlaskTemplates(flask))
    hear_flask(metrics)
    return metrics


def _is_asgi(app: Callable[..., object]) -> bool:
    called = inspect.unwrap(app)
    if inspect.iscoroutinefunction(called) or inspect.iscoroutinefunction(getattr(called, "__call__", None)):  # noqa: B004
        return True
    # A plain function that hands its three arguments on and returns the coroutine.
    return _takes(app, 3) and not _takes(app, 2)


def _takes(app: Callable[..., object], count: int) -> bool:
    """Tell whether a callable takes exactly so many arguments by position."""
    try:
        signature = inspect.signature(app)
        signature.bind(*range(count))
    except (TypeError, ValueError):
        return False
    return not any(parameter.kind is parameter.VAR_POSITIONAL for parameter in signature.parameters.values())


def _hint(app: object) -> str:
    if inspect.isclass(app):
        return ": it is a class, and an object of it is served"
    if callable(app):
        return ": an ASGI application takes scope, receive and send, a WSGI application environ and start_response"
    return ""
