"""A stand-in for Grafana 12.4: a real HTTP server that keeps state, answers as recorded replies do, and can misbehave.

What is recorded of a real Grafana is in ``tests/recorded``; ``test_grafana_recorded.py`` holds this to it.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import struct
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, quote, urlsplit

from tests import grafana_dashboards as dashboards
from tests import grafana_places as places
from tests import grafana_rules as rules
from tests.grafana_requests import Answer, Asked, Folder, Json, Refusal, Rule, Saved, State

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from types import TracebackType

PASSWORD = "correct-horse-battery"
TOKENS = {f"glsa_{role.lower()}0123456789": role for role in ("Admin", "Editor", "Viewer", "None")}
ADMIN_TOKEN, EDITOR_TOKEN, VIEWER_TOKEN, NO_ROLE_TOKEN = TOKENS
EXPIRED_TOKEN = "glsa_expired0123456789"
LOGIN_PAGE = "<!DOCTYPE html><html><head><title>Grafana</title></head><body>Welcome to Grafana</body></html>"

_RESOURCES = r"/apis/dashboard\.grafana\.app/(v\w+)/namespaces/default/dashboards"
_GROUPS = "/api/v1/provisioning/folder/([^/]+)/rule-groups/([^/]+)"
_RULES = "/api/v1/provisioning/alert-rules"
ROUTES: list[tuple[str, str, Callable[..., Answer]]] = [
    ("GET", "/api/health", places.health),
    ("GET", "/api/frontend/settings", places.frontend_settings),
    ("GET", "/api/org", places.org),
    ("GET", "/api/user", places.user),
    ("GET", "/api/access-control/user/permissions", places.permissions),
    ("POST", "/api/serviceaccounts", places.create_service_account),
    ("POST", r"/api/serviceaccounts/(\d+)/tokens", places.create_token),
    ("GET", "/api/folders", places.list_folders),
    ("POST", "/api/folders", places.create_folder),
    ("GET", "/api/folders/([^/]+)", places.get_folder),
    ("PUT", "/api/folders/([^/]+)", places.update_folder),
    ("DELETE", "/api/folders/([^/]+)", places.delete_folder),
    ("GET", "/api/datasources", places.list_datasources),
    ("POST", "/api/datasources", places.create_datasource),
    ("GET", "/api/datasources/name/([^/]+)", places.get_datasource_by_name),
    ("GET", "/api/datasources/uid/([^/]+)", places.get_datasource),
    ("PUT", "/api/datasources/uid/([^/]+)", places.update_datasource),
    ("GET", "/api/datasources/uid/([^/]+)/health", places.datasource_health),
    ("GET", "/api/datasources/proxy/uid/([^/]+)/api/v1/query", places.proxied),
    ("POST", "/api/ds/query", places.query),
    ("GET", "/api/annotations", places.find_annotations),
    ("POST", "/api/annotations", places.create_annotation),
    ("GET", "/api/search", places.search),
    ("GET", "/api/v1/provisioning/contact-points", places.contact_points),
    ("POST", "/api/v1/provisioning/contact-points", places.create_contact_point),
    ("DELETE", "/api/v1/provisioning/contact-points/([^/]+)", places.delete_contact_point),
    ("GET", "/api/v1/provisioning/policies", places.policies),
    ("POST", "/api/dashboards/db", dashboards.save_classic),
    ("GET", "/api/dashboards/tags", dashboards.tags),
    ("GET", "/api/dashboards/uid/([^/]+)", dashboards.get_classic),
    ("DELETE", "/api/dashboards/uid/([^/]+)", dashboards.delete_classic),
    ("GET", "/api/dashboards/uid/([^/]+)/versions", dashboards.versions),
    ("GET", "/api/dashboards/uid/([^/]+)/permissions", dashboards.dashboard_permissions),
    ("GET", "/apis", dashboards.api_groups),
    ("GET", r"/apis/dashboard\.grafana\.app/", dashboards.api_group),
    ("GET", _RESOURCES, dashboards.list_resources),
    ("POST", _RESOURCES, dashboards.create_resource),
    ("GET", f"{_RESOURCES}/([^/]+)", dashboards.get_resource),
    ("PUT", f"{_RESOURCES}/([^/]+)", dashboards.replace_resource),
    ("PATCH", f"{_RESOURCES}/([^/]+)", dashboards.patch_resource),
    ("DELETE", f"{_RESOURCES}/([^/]+)", dashboards.delete_resource),
    ("GET", _RULES, rules.list_rules),
    ("POST", _RULES, rules.create_rule),
    ("GET", f"{_RULES}/export", rules.export_rules),
    ("GET", f"{_RULES}/([^/]+)", rules.get_rule),
    ("PUT", f"{_RULES}/([^/]+)", rules.update_rule),
    ("DELETE", f"{_RULES}/([^/]+)", rules.delete_rule),
    ("GET", _GROUPS, rules.get_group),
    ("PUT", _GROUPS, rules.put_group),
    ("DELETE", _GROUPS, rules.delete_group),
    ("POST", "/api/v1/eval", rules.evaluate),
    ("GET", "/api/prometheus/grafana/api/v1/rules", rules.live_state),
    ("GET", "/api/prometheus/grafana/api/v1/alerts", rules.alerts),
    ("GET", "/api/alertmanager/grafana/api/v2/alerts", rules.alertmanager),
]


@dataclass
class Misbehaviour:
    """What goes wrong with the next requests.

    Attributes:
        method: of the requests that are meant; empty means all.
        path: a regular expression that their paths match.
        times: how many of them; each takes one off.
        answer: what they get in place of what they ask for.
        drop: the connection is cut instead: ``before`` the request takes effect, or ``after``.
        slow: they wait for the server's ``go_on`` first.
        does: what happens before they are answered.
    """

    method: str = ""
    path: str = ""
    times: int = 1
    answer: Answer | None = None
    drop: str = ""
    slow: bool = False
    does: Callable[[], object] | None = None

    def meets(self, asked: Asked) -> bool:
        """Tell whether a request is meant."""
        return self.times > 0 and self.method in {"", asked.method} and re.search(self.path, asked.path) is not None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients leave in the middle, since that is what is tried."""


@dataclass
class Seen:
    """A request that has come."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any = field(default=None, repr=False)


class GrafanaServer:
    """A stand-in for Grafana 12.4 on a free port.

    Args:
        prefix: the path that it lives under, as ``/grafana``.
        resources: whether it has dashboards as resources; without, it is as Grafana 11.
        scheduler: whether rules are evaluated each time their state is read; else ``run_scheduler()`` does.
        tls: a context with a certificate, to serve https.

    Attributes:
        state: what it holds.
        seen: the requests that have come.
        go_on: what is slow waits for it.
    """

    def __init__(
        self, *, prefix: str = "", resources: bool = True, scheduler: bool = True, tls: ssl.SSLContext | None = None
    ) -> None:
        self.prefix = prefix
        self.resources = resources
        self.scheduler = scheduler
        self.state = State(tokens=dict(TOKENS), expired=set())
        self.state.tokens[EXPIRED_TOKEN] = "Editor"
        self.state.expired.add(EXPIRED_TOKEN)
        self.seen: list[Seen] = []
        self.go_on = threading.Event()
        self._misbehaviour: list[Misbehaviour] = []
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"grafana": self}))
        self._scheme = "https" if tls is not None else "http"
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._furnish()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}{self.prefix}"

    def misbehave(self, answer: Answer | None = None, **how: Any) -> None:
        """Let something go wrong with the next requests; arguments are those of ``Misbehaviour``."""
        self._misbehaviour.append(Misbehaviour(answer=answer, **how))

    def meanwhile(self, what: Callable[[], object]) -> None:
        """Have something happen in the middle of the next save, after its checks and before it takes effect."""
        self.state.meanwhile.append(what)

    def run_scheduler(self) -> None:
        """Evaluate each rule once."""
        rules.run_scheduler(self.state)

    def change_dashboard(self, uid: str, **fields: object) -> None:
        """Change a dashboard as somebody does in the UI."""
        with self.state.lock:
            saved = self.state.dashboards[uid]
            saved.spec = {**saved.spec, **fields}
            saved.version += 1
            saved.resource_version = next(self.state.resource_versions)

    def asked_for(self, method: str, path: str) -> list[Seen]:
        """Return the requests of a method whose paths match a regular expression."""
        return [seen for seen in self.seen if seen.method == method and re.search(path, seen.path)]

    def answer(self, asked: Asked) -> Answer | None:
        """Return the answer to a request; None where the connection is cut."""
        for wrong in self._misbehaviour:
            if wrong.meets(asked):
                wrong.times -= 1
                if wrong.does is not None:
                    wrong.does()
                if wrong.slow:
                    self.go_on.wait(60)
                if wrong.drop == "after":
                    self.right_answer(asked)
                if wrong.drop:
                    return None
                if wrong.answer is not None:
                    return wrong.answer
        return self.right_answer(asked)

    def right_answer(self, asked: Asked) -> Answer:
        """Return what Grafana answers."""
        if self.prefix and not asked.path.startswith(f"{self.prefix}/"):
            return Answer(404, LOGIN_PAGE)
        path = asked.path.removeprefix(self.prefix)
        if asked.role == "" and path != "/api/health":
            return self._unknown_user(asked, path)
        if path.startswith("/apis") and not self.resources:
            return Answer(404, LOGIN_PAGE)
        if self.scheduler and path == "/api/prometheus/grafana/api/v1/rules":
            answer = self._routed(asked, path)
            rules.run_scheduler(self.state)
            return answer
        return self._routed(asked, path)

    def _routed(self, asked: Asked, path: str) -> Answer:
        for method, pattern, act in ROUTES:
            found = re.fullmatch(pattern, path)
            if found and method == asked.method:
                try:
                    return act(self.state, asked, *found.groups())
                except Refusal as refusal:
                    return refusal.answer
        return Answer(404, {"message": "Not found"}) if path.startswith("/api") else Answer(404, LOGIN_PAGE)

    def _unknown_user(self, asked: Asked, path: str) -> Answer:
        if not path.startswith("/api"):
            place = f"/login?redirectTo={quote(path, safe='')}"
            return Answer(302, f'<a href="{place}">Found</a>.\n\n', {"location": place})
        message, identity = "Unauthorized", "auth.unauthorized"
        given = asked.headers.get("authorization", "")
        if given.startswith("Bearer"):
            message, identity = "Invalid API key", "api-key.invalid"
            if given.removeprefix("Bearer ") in self.state.expired:
                message, identity = "Expired API key", "api-key.expired"
        elif given:
            message, identity = "Invalid username or password", "password-auth.failed"
        return Answer(401, {"message": message, "messageId": identity, "statusCode": 401, "traceID": "", "extra": None})

    def role_of(self, authorization: str) -> tuple[str, str]:
        """Return role and name of who signs in so; nothing for a stranger."""
        kind, _, secret = authorization.partition(" ")
        if kind == "Bearer" and secret not in self.state.expired:
            return self.state.tokens.get(secret, ""), "sa"
        if kind == "Basic" and base64.b64decode(secret).decode() == f"admin:{PASSWORD}":
            return "Admin", "admin"
        return "", ""

    def _furnish(self) -> None:
        """Put in what Grafana's provisioning made of files."""
        state = self.state
        for uid, title, managed in (
            ("eg57n0zdcfd34b", "Alerts from files", ""),
            ("fg57n0zfmu0hsa", "From files", "classic-file-provisioning"),
        ):
            state.folders[uid] = Folder(uid=uid, title=title, id=next(state.ids), managed=managed)
        places.new_datasource(
            state,
            uid="prometheus",
            name="Prometheus",
            type="prometheus",
            url="http://127.0.0.1:19090",
            isDefault=True,
            readOnly=True,
            jsonData={"httpMethod": "POST", "timeInterval": "15s"},
        )
        spec: Json = {"panels": [], "schemaVersion": 39, "tags": ["otel-monitoring"], "title": "Provisioned"}
        managed_by = {
            "createdBy": "access-policy:service",
            "folder": "fg57n0zfmu0hsa",
            "managedBy": "classic-file-provisioning",
            "managerId": "from-files",
            "sourceChecksum": "96dc771414ec804cf2c14dc881271d4e",
            "sourcePath": "/etc/dashboards/prov.json",
            "sourceTimestamp": "1795475031000",
        }
        state.dashboards["provisioned-dash"] = Saved(
            uid="provisioned-dash",
            spec=spec,
            id=next(state.ids),
            folder="fg57n0zfmu0hsa",
            resource_version=next(state.resource_versions),
            annotations={f"grafana.app/{name}": text for name, text in managed_by.items()},
            file="/etc/dashboards/prov.json",
        )
        model = {"expr": "vector(1)", "refId": "A", "instant": True, "range": False}
        times = {"relativeTimeRange": {"from": 600, "to": 0}}
        query = {"datasourceUid": "prometheus", "refId": "A", "model": model, **times}
        threshold = {
            "type": "threshold",
            "expression": "A",
            "conditions": [{"evaluator": {"type": "gt", "params": [5]}}],
        }
        expression = {"datasourceUid": "__expr__", "refId": "C", "model": {"refId": "C", **threshold}}
        given: Json = {"uid": "rule-from-file", "title": "Rule from file", "condition": "C", "for": "1m"}
        given |= {"data": [query, expression], "noDataState": "OK", "execErrState": "OK"}
        state.rules["rule-from-file"] = Rule(given, "eg57n0zdcfd34b", "from-file", "file", result={"id": 1})
        next(state.rule_ids)
        state.intervals["eg57n0zdcfd34b", "from-file"] = 60

    def __enter__(self) -> Self:
        """Start it."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop it."""
        self.go_on.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits for an acknowledgement between its head and its body
    grafana: GrafanaServer

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer."""
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): text for name, text in self.headers.items()}
        parts = urlsplit(self.path)
        role, user = self.grafana.role_of(headers.get("authorization", ""))
        query = parse_qs(parts.query, keep_blank_values=True)
        asked = Asked(self.command, parts.path, query, headers, raw, role, user)
        self.grafana.seen.append(Seen(self.command, self.path, headers, _decoded(raw)))
        answer = self.grafana.answer(asked)
        if answer is None:
            self._cut()
        else:
            self._send(answer)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 (the base class's names)

    def _cut(self) -> None:
        # Without a word of farewell: a reset, as of a proxy that dies.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def _send(self, answer: Answer) -> None:
        text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
        kind = "text/html; charset=UTF-8" if isinstance(answer.body, str) else "application/json"
        payload = b"" if answer.body is None else text.encode()
        self.send_response(answer.status)
        headers = {"cache-control": "no-store", **answer.headers}
        if answer.body is not None or answer.status == 204:
            headers.setdefault("content-type", kind)
        for name, value in headers.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("content-length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)


def _decoded(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return raw


@contextmanager
def serving(**how: Any) -> Iterator[GrafanaServer]:
    """Run a stand-in; arguments are those of ``GrafanaServer``."""
    with GrafanaServer(**how) as server:
        yield server
