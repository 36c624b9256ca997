"""Pushing to a Prometheus Pushgateway, for jobs that end before a scrape would find them.

``Pushgateway`` is one group of metrics there, and talks HTTP; ``Pusher`` is the thread
that pushes, so that nobody else has to wait.
"""

from __future__ import annotations

import logging
import math
import os
import random
import re
import threading
from base64 import b64encode, urlsafe_b64encode
from collections import deque
from dataclasses import KW_ONLY, dataclass, field, replace
from http.client import HTTPException
from time import monotonic
from typing import TYPE_CHECKING, NoReturn
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from otel_monitoring.exceptions import ConfigurationError, PushError
from otel_monitoring.metrics.forks import tell_after_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from urllib.parse import SplitResult

    from otel_monitoring.export.render import Render
    from otel_monitoring.metrics.incidents import Incidents

logger = logging.getLogger("otel_monitoring")

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_SHOWN_BYTES = 300
_DOUBLED_AT_MOST = 60
_WORTH_TRYING_AGAIN = 500
"""Statuses from here on are the gateway's own trouble, which may pass."""


@dataclass(frozen=True, eq=False)
class Pushgateway:
    """One group of metrics on one Pushgateway.

    Args:
        url: where it is, such as ``http://gateway:9091``; a username and a password in it
            are taken out and used, and shown nowhere.
        job: the label ``job`` of all that is pushed.
        instance: the label ``instance``; empty leaves it out of the grouping key.
        grouping: further labels of the grouping key.
        timeout_seconds: how long to wait for it, at each step of a request.
        username: of HTTP basic authentication, where the URL has none.
        password: the same.

    Raises:
        ConfigurationError: the URL, the job or a grouping label will not do.
    """

    url: str
    job: str
    instance: str = ""
    _: KW_ONLY
    grouping: Mapping[str, str] = field(default_factory=dict)
    timeout_seconds: float = 10.0
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Check the parts, and take the credentials out of the URL."""
        parts = _split(self.url)
        problems = [*_url_problems(parts), *self._grouping_problems()]
        if problems:
            raise ConfigurationError(tuple(problems))
        put = object.__setattr__
        if parts.username:
            put(self, "username", unquote(parts.username))
            put(self, "password", unquote(parts.password or ""))
        put(self, "url", f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path.rstrip('/')}")
        put(self, "grouping", dict(self.grouping))

    @property
    def group_url(self) -> str:
        """Where this group is on the gateway, by its README's rules.

        https://github.com/prometheus/pushgateway#url
        """
        labels = {"job": self.job, "instance": self.instance, **self.grouping}
        if not self.instance:
            del labels["instance"]
        return f"{self.url}/metrics/" + "/".join(_path(name, value) for name, value in labels.items())

    def with_instance(self, instance: str) -> Pushgateway:
        """Return the same for another instance, that is, another group."""
        return replace(self, instance=instance)

    def push(self, body: bytes, content_type: str) -> None:
        """Put these metrics in the place of all that the group holds.

        Args:
            body: exposition text 0.0.4.
            content_type: what the text's format is.

        Raises:
            PushError: it did not take them.
        """
        self._send("PUT", body, {"Content-Type": content_type})

    def delete(self) -> None:
        """Remove the group.

        Raises:
            PushError: it did not do so.
        """
        self._send("DELETE", None, {})

    def _send(self, method: str, body: bytes | None, headers: dict[str, str]) -> None:
        request = Request(self.group_url, body, {**headers, **self._own_headers()}, method=method)  # noqa: S310 (checked)
        try:
            # Opened anew each time, for a proxy's settings may have changed.
            with build_opener(_NoRedirects).open(request, timeout=self.timeout_seconds) as response:
                response.read(_SHOWN_BYTES)
        except HTTPError as error:
            _refuse(error)
        except (OSError, HTTPException, ValueError) as error:
            reason = error.reason if isinstance(error, URLError) else error
            kind = "timeout" if isinstance(reason, TimeoutError) else "unreachable"
            said = f"no answer within {self.timeout_seconds:g} s" if kind == "timeout" else str(reason) or repr(reason)
            raise PushError(kind, said, passing=True) from error

    def _own_headers(self) -> dict[str, str]:
        headers = {"User-Agent": "otel-monitoring"}
        if self.username is not None:
            credentials = b64encode(f"{self.username}:{self.password or ''}".encode()).decode()
            headers["Authorization"] = f"Basic {credentials}"
        return headers

    def _grouping_problems(self) -> Iterator[str]:
        if not self.job:
            yield "the Pushgateway's job is empty: name it, for instance after the service"
        for name in self.grouping:
            if name in ("job", "instance"):
                yield f"the grouping label {name!r} has an argument of its own: use {name}=…"
            elif not _LABEL.fullmatch(name) or name.startswith("__"):
                yield f"{name!r} is no grouping label: letters, digits and '_', not starting with a digit or '__'"


class _NoRedirects(HTTPRedirectHandler):
    """Follows no redirect: urllib would turn PUT into GET, and report success."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """Leave the answer to be reported as the failure it is."""


def _refuse(error: HTTPError) -> NoReturn:
    """Raise what the gateway's answer means."""
    with error:
        try:
            said = " ".join(error.read(_SHOWN_BYTES).decode(errors="replace").split())
        except (OSError, HTTPException):
            said = ""
    redirect = error.code // 100 == 3  # noqa: PLR2004 (the class of status)
    hint = "; redirects are not followed, give the address that it redirects to" if redirect else ""
    text = f"it answered {error.code} {error.reason}{': ' if said else ''}{said}{hint}"
    raise PushError(f"http_{error.code}", text, passing=error.code >= _WORTH_TRYING_AGAIN) from None


def _split(url: str) -> SplitResult:
    """Return the parts of a URL, all empty where it is none; ``gateway:9091`` is taken for http."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        _ = parts.port
    except ValueError:
        return urlsplit("")
    return parts


def _url_problems(parts: SplitResult) -> Iterator[str]:
    """Say what is wrong, without showing the URL: it may hold a password."""
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        yield (
            "the Pushgateway's address is no http or https URL of a host and perhaps a path: write one such as "
            "http://gateway:9091; the characters '/', '#', '?' and '@' in a password are written in %-form"
        )


def _path(name: str, value: str) -> str:
    """Return a label as two segments of a path.

    A slash would make segments of its own, nothing would make none, and dots would be
    taken for a way up or nowhere: these values go in base64.
    """
    if "/" in value or value in ("", ".", ".."):
        return f"{name}@base64/{urlsafe_b64encode(value.encode()).decode() or '='}"
    return f"{name}/{quote(value, safe='')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How a failed push is tried again.

    Args:
        first_seconds: about how long to wait after the first failure; it doubles each time.
        highest_seconds: what it doubles up to.
        attempts: how often one push is tried in all.
    """

    first_seconds: float = 0.5
    highest_seconds: float = 30.0
    attempts: int = 6

    def delay_seconds(self, failures: int) -> float:
        """Return how long to wait after so many failures, spread at random so that many pushers part."""
        longest = min(self.highest_seconds, self.first_seconds * 2.0 ** min(failures - 1, _DOUBLED_AT_MOST))
        return random.uniform(longest / 2, longest)  # noqa: S311 (not a secret)


@dataclass(slots=True, eq=False)
class _Request:
    """Something to be sent, tried until a time; ``asked`` by someone who waits, or due by itself."""

    send: Callable[[], None]
    until: float
    asked: bool
    worked: bool = False
    done: threading.Event = field(default_factory=threading.Event)


class Pusher:
    """Pushes the metrics from a thread of its own; its callers wait only as long as they say.

    A push that fails is counted, logged once for each kind of failure until it works
    again, and tried again where that makes sense: after longer and longer pauses, at most
    until the next push is due.  A request that the gateway refuses (4xx) waits for the
    next push.

    A forked child has the group of its parent and numbers of its own, and would push over
    the parent's.  So there the instance gets the process id appended (``host-4711``), and
    the thread is started anew.  The first push of the child comes after an interval, so
    that children which end sooner leave no group behind; the others should ``delete``
    theirs or end in ``shutdown``.

    Nothing is done at exit by itself: whoever owns the pusher calls ``shutdown`` there.

    Args:
        gateway: where to push, as what.
        render: makes the exposition; asked for text 0.0.4, which is what a Pushgateway takes.
        incidents: hears of faults of our own.
        failed: called for each attempt that fails.
        interval_seconds: from one push to the next; None pushes only in ``flush`` and
            ``shutdown``, as batch jobs want it.
        backoff: how a failed push is tried again.
    """

    def __init__(
        self,
        gateway: Pushgateway,
        render: Render,
        *,
        incidents: Incidents,
        failed: Callable[[], None],
        interval_seconds: float | None = 15.0,
        backoff: Backoff = Backoff(),
    ) -> None:
        self._parents = gateway
        self._gateway = gateway
        self._render = render
        self._incidents = incidents
        self._failed = failed
        self._interval = math.inf if interval_seconds is None else interval_seconds
        self._backoff = backoff
        self._changed = threading.Condition()
        self._requests: deque[_Request] = deque()
        self._thread: threading.Thread | None = None
        self._due = math.inf
        self._closed = False
        self._complained: set[str] = set()
        tell_after_fork(self)

    @property
    def gateway(self) -> Pushgateway:
        """Where this process pushes; in a forked child another group than the parent's."""
        return self._gateway

    def start(self) -> None:
        """Start the thread; the first push comes after an interval.

        Batch jobs too start it early: a thread cannot be started any more at exit.
        """
        with self._changed:
            if not self._closed:
                self._start_thread()

    def flush(self, timeout: float) -> bool:
        """Push now what has been recorded up to now.

        Args:
            timeout: seconds after which the caller goes on, whether it worked or not.

        Returns:
            Whether the gateway has taken it.
        """
        return self._ask(self._push, timeout)

    def delete(self, timeout: float) -> bool:
        """Remove the group from the gateway, and push no more.

        Args:
            timeout: seconds after which the caller goes on, whether it worked or not.

        Returns:
            Whether the gateway has removed it.
        """
        return self._ask(self._delete, timeout, last=True)

    def shutdown(self, timeout: float) -> bool:
        """Push a last time, and end; nothing happens where it has ended already.

        Args:
            timeout: seconds after which the caller goes on, whether it worked or not.

        Returns:
            Whether the gateway has taken it.
        """
        return self._closed or self._ask(self._push, timeout, last=True)

    def after_fork_in_child(self) -> None:
        """Go on in a child, as a group of its own."""
        running = self._thread is not None
        self._changed = threading.Condition()
        self._requests = deque()
        self._thread = None
        self._gateway = self._parents.with_instance(f"{self._parents.instance}-{os.getpid()}".removeprefix("-"))
        if running:
            self.start()

    def _push(self) -> None:
        self._gateway.push(*self._render(None))

    def _delete(self) -> None:
        self._gateway.delete()

    def _ask(self, send: Callable[[], None], timeout: float, *, last: bool = False) -> bool:
        request = _Request(send, monotonic() + timeout, asked=True)
        with self._changed:
            # Together: a thread that found the end without the request would be gone, and at exit none can be started.
            self._closed = self._closed or last
            self._requests.append(request)
            self._changed.notify_all()
            if not self._start_thread():
                self._requests.remove(request)
                return False
        request.done.wait(timeout)
        return request.worked

    def _start_thread(self) -> bool:
        if self._thread is not None and self._thread.is_alive():
            return True
        thread = threading.Thread(target=self._run, name="otel-monitoring-pusher", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            # There are too many threads, or the interpreter ends.
            logger.warning("metrics are not pushed to %s: %s", self._gateway.url, error)
            return False
        self._thread = thread
        return True

    def _run(self) -> None:
        self._due = monotonic() + self._interval
        while (request := self._next()) is not None:
            self._carry_out(request)
            request.done.set()

    def _next(self) -> _Request | None:
        """Wait for what is to be done next; None ends the thread."""
        with self._changed:
            pause = max(0.0, self._due - monotonic())
            self._changed.wait_for(
                lambda: self._requests or self._closed, None if pause > threading.TIMEOUT_MAX else pause
            )
            if self._requests:
                return self._requests.popleft()
            if self._closed:
                # Under the lock: a request that comes now finds no thread, and starts one.
                self._thread = None
                return None
        now, due = monotonic(), self._due + self._interval
        self._due = due if due > now else now + self._interval
        return _Request(self._push, self._due, asked=False)

    def _carry_out(self, request: _Request) -> None:
        for failures in range(1, self._backoff.attempts + 1):
            if monotonic() >= request.until:
                return
            error = self._attempt(request.send)
            if error is None:
                request.worked = True
                return
            if not error.passing or not self._pause(self._backoff.delay_seconds(failures), request):
                return

    def _pause(self, seconds: float, request: _Request) -> bool:
        """Wait before the next attempt; False where something else is due by then."""
        if monotonic() + seconds >= request.until:
            return False
        with self._changed:
            return not self._changed.wait_for(lambda: bool(self._requests) and not request.asked, seconds)

    def _attempt(self, send: Callable[[], None]) -> PushError | None:
        failure = PushError("internal", "a fault inside the monitoring", passing=False)
        with self._incidents.contained("pushing to the Pushgateway"):
            try:
                send()
            except PushError as error:
                failure = error
            else:
                self._praise()
                return None
        self._complain(failure)
        return failure

    def _complain(self, failure: PushError) -> None:
        self._failed()
        if failure.kind not in self._complained:
            self._complained.add(failure.kind)
            logger.warning("pushing metrics to %s fails, later ones like it silently: %s", self._gateway.url, failure)

    def _praise(self) -> None:
        if self._complained:
            self._complained.clear()
            logger.info("pushing metrics to %s works again", self._gateway.url)
