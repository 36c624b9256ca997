"""The stand-in for Grafana: each request that was recorded of a real one gets the same reply from it."""

from __future__ import annotations

import base64
import http.client
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.grafana_requests import Folder, Saved
from tests.grafana_server import (
    ADMIN_TOKEN,
    EDITOR_TOKEN,
    EXPIRED_TOKEN,
    NO_ROLE_TOKEN,
    PASSWORD,
    VIEWER_TOKEN,
    GrafanaServer,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]

FOLDER = Path(__file__).parent / "recorded"
RECORDED: dict[str, Json] = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}
EACH = [(topic, name) for topic, replies in RECORDED.items() for name in replies]

# In which they were recorded, as far as it matters: what is missing here comes first, by topic and name.
IN_ORDER: dict[str, tuple[str, ...]] = {
    "folders": (
        *("create", "create same uid", "create same title", "create nested", "create with unknown parent", "get"),
        *("rename with stale version", "rename", "rename with overwrite", "create as editor", "list"),
    ),
    "dashboards": (
        *("create", "create again with the same uid", "create same title in folder, other uid", "get"),
        *("update with the version read", "update with a stale version", "overwrite", "get after overwrite"),
        *("overwrite with equal content", "update without folderUid", "get after update without folderUid"),
        *("create without uid", "create with id null", "create with unknown keys", "get with unknown keys"),
        *("create with a fast refresh", "create as editor", "create a schema v2 one"),
        *("get a schema v2 one by the classic path", "delete the schema v2 one", "delete", "delete missing", "tags"),
        *("versions", "get a classic one by the new path"),
    ),
    "datasources": (
        *("list", "get by uid", "get by name", "query", "proxy to prometheus", "create", "create same name"),
        *("health of an unreachable one", "list as viewer"),
    ),
    "search": ("by tag", "by folder", "page 2"),
    "annotations": ("create", "create for a dashboard", "find"),
    "alert-rules": (
        *("create", "get", "create without provenance", "create with provenance header false", "create without uid"),
        *("create same title in group", "create with unknown condition"),
        *("create with bad promql", "create with unknown datasource"),
        *("create with unknown keys", "create with reserved label", "create with keep_firing_for", "create as editor"),
        *("list", "list as viewer", "update", "update without the header (provenance none -> api)"),
        *("get r2 after that", "delete", "delete missing", "export"),
        *("update with the header (provenance api -> none)",),
    ),
    "rule-groups": (
        *("put new", "get new", "put equal", "get after equal", "put with one rule less", "get after one less"),
        *("put with rules empty", "get after empty"),
        *("put with header new", "get g3", "put g3 without header (none -> api)", "get g3 after"),
        *("put g3 with header again (api -> none)", "get g3 at last", "put with a rule of another group"),
        *("get the group it left", "get the group it went to", "put with two equal titles"),
        *("put with one bad rule of two", "get after one bad", "put name with slash and space", "get"),
        *("delete with header", "delete", "delete missing", "live state"),
        *("put with rules null and another interval", "get after that"),
    ),
}


def ordered() -> list[tuple[str, str]]:
    """Return all that is recorded in an order in which it can be replayed."""
    parts = [
        *_of("health"),
        *_of("auth", leave=("no role: dashboard",)),
        *_of("datasources"),
        *_of("folders", only=("create", "get", "rename", "list"), leave=("create for the second part",)),
        *_of("dashboards", leave=SECOND_PART),
        *_of("search"),
        *_of("annotations"),
        *_of("alert-rules"),
        *_of("rule-groups"),
        *_of("notifications"),
        *[("folders", name) for name in ("delete a non-empty one", "delete with rules forced", "delete missing")],
        ("dashboards", "get after its folder went"),
        ("folders", "create for the second part"),
        ("dashboards", "create in folder two"),
        *[("dashboards", f"race {number}") for number in range(5)],
        *[("dashboards", name) for name in ("message too long", "too large", "title with html and unicode")],
        ("dashboards", "permissions of the dashboard"),
        ("auth", "no role: dashboard"),
        *[("provenance", name) for name in PROVENANCE],
        *[("evaluation", name) for name in EVALUATION],
        *[("folders", f"delete with dashboards and rules{how}") for how in ("", ", forced")],
        ("evaluation", "rule of a deleted folder"),
        ("dashboards", "dashboard of a deleted folder"),
        *[("dashboard-resources", f"six writers with one resourceVersion, {number}") for number in range(6)],
        *[("dashboard-resources", name) for name in RESOURCES],
        *[("evaluation", f"templates: {what}") for what in ("put", "live state")],
    ]
    assert sorted(parts) == sorted(EACH)
    return parts


SECOND_PART = (
    *("get after its folder went", "create in folder two", "race", "message too long", "too large", "title with"),
    *("permissions of the dashboard", "dashboard of a deleted folder"),
)
PROVENANCE = (
    *("group put without header", "rule after put without header", "group put with header over api"),
    *("rule after put with header over api", "group put with header, new", "rule after put with header, new"),
    *("group put without header over none", "rule after put without header over none"),
    *("delete api rule with header", "api rule after delete with header", "delete none rule without header"),
    *("none rule after delete without header",),
)
EVALUATION = (
    *("put", "put with relativeTimeRange zero", "eval a good query", "backtest or eval a bad query"),
    *("live state after evaluation", "alerts firing", "alertmanager alerts"),
)
RESOURCES = (
    *("all groups", "versions of the group", "create", "get", "create again", "dry run of an update"),
    *("update with the resourceVersion read", "update with a stale resourceVersion", "update without resourceVersion"),
    *("get after", "update with equal content", "merge patch", "server side apply", "list by label", "get missing"),
    *("unknown folder", "bad spec", "no credentials", "a schema v2 one read as v1", "provisioned: get"),
    *("provisioned: update", "delete", "delete missing"),
)


def _of(topic: str, *, only: tuple[str, ...] = ("",), leave: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    chosen = [name for name in RECORDED[topic] if name.startswith(only) and not name.startswith(leave or ("\0",))]
    last = [name for name in IN_ORDER.get(topic, ()) if name in chosen]
    refused = [name for name in chosen if name not in last]
    made = [] if topic == "auth" else last[:1]
    rest = [name for name in last if name not in made]
    if topic in {"dashboards", "alert-rules", "rule-groups", "folders"}:
        # What is refused changes nothing, and needs what is made first.
        return [(topic, name) for name in (*made, *refused, *rest)]
    return [(topic, name) for name in (*refused, *made, *rest)]


# A reply that is compared with a recorded one

VARIES = frozenset(
    {
        *("id", "dashboardId", "folderId", "grafana.app/deprecatedInternalID", "accessErrorId", "traceID", "key"),
        *("resourceVersion", "creationTimestamp", "managedFields", "continue", "serverAddress", "fingerprint"),
        *("created", "createdAt", "updated", "updatedAt", "grafana.app/updatedTimestamp", "startsAt", "endsAt"),
        *("activeAt", "lastEvaluation", "evaluationTime", "generatorURL", "buildstamp", "__value_string__"),
        *("createdBy", "updatedBy", "grafana.app/createdBy", "grafana.app/updatedBy", "login"),
    }
)
"""Keys whose values are random, times, or of that one server: only their types are compared."""

OPAQUE = frozenset({"managedFields"})
"""Bookkeeping of the resource API, which nobody here reads."""

MADE_UP = frozenset({"id", "resourceVersion", "grafana.app/deprecatedInternalID"})
RANDOM_UID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|[a-g]g57n[0-9a-z]{9}")
MOMENT = 1_700_000_000


class Reply(NamedTuple):
    """What the stand-in answered; the headers' names are in small letters."""

    status: int
    body: Any
    headers: dict[str, str]


class Replay:
    """Sends what was recorded, with what this server gave in the place of what that one had given."""

    def __init__(self, server: GrafanaServer) -> None:
        self._server = server
        self._ours: dict[str, str] = {}
        self.found: dict[tuple[str, str], Reply] = {}

    def send(self, topic: str, name: str) -> None:
        """Send one recorded request, and keep the reply."""
        recorded = RECORDED[topic][name]
        request, response = recorded["request"], recorded["response"]
        if (topic, name) in self.found:
            return
        reply = self.found[topic, name] = self._ask(name, request)
        self._learn(response.get("body"), reply.body)

    def recorded(self, topic: str, name: str) -> Json:
        """Return a recorded response, with our names in the place of theirs."""
        response: Json = json.loads(self._translated(json.dumps(RECORDED[topic][name]["response"])))
        return response

    def _ask(self, name: str, request: Json) -> Reply:
        headers = dict(request.get("headers") or {})
        signed = self._signed(name, request["as"])
        if signed:
            headers["Authorization"] = signed
        payload: bytes | None = None
        if "raw" in request:
            payload = self._translated(request["raw"]).encode()
        elif request.get("body") == "17 MiB":
            payload = json.dumps({"dashboard": {"title": "x" * (17 * 2**20)}}).encode()
        elif "body" in request:
            payload = self._translated(json.dumps(request["body"])).encode()
        connection = http.client.HTTPConnection(urlsplit(self._server.url).netloc, timeout=60)
        connection.request(request["method"], self._translated(request["path"]), payload, headers)
        reply = connection.getresponse()
        text = reply.read().decode()
        connection.close()
        kind = reply.getheader("content-type") or ""
        body = (json.loads(text) if "json" in kind else text) if text else None
        return Reply(reply.status, body, {name.lower(): value for name, value in reply.getheaders()})

    def _signed(self, name: str, who: str) -> str:
        if who == "none":
            return ""
        if who == "token":
            return f"Bearer {_token(name)}"
        password = PASSWORD if who == "basic admin" else "wrong"
        return "Basic " + base64.b64encode(f"admin:{password}".encode()).decode()

    def _translated(self, text: str) -> str:
        for theirs, ours in self._ours.items():
            text = text.replace(theirs, ours)
        return text

    def _learn(self, theirs: Any, ours: Any, key: str = "") -> None:
        if isinstance(theirs, dict) and isinstance(ours, dict):
            for name in theirs:
                self._learn(theirs[name], ours.get(name), name)
        elif isinstance(theirs, list) and isinstance(ours, list):
            for one, other in zip(theirs, ours, strict=False):
                self._learn(one, other, key)
        elif (key in MADE_UP and len(str(theirs)) > 12) or (key == "uid" and RANDOM_UID.fullmatch(str(theirs))):
            self._ours[str(theirs)] = str(ours)


def _token(name: str) -> str:
    for words, token in (
        ("viewer", VIEWER_TOKEN),
        ("editor", EDITOR_TOKEN),
        ("no role", NO_ROLE_TOKEN),
        ("expired", EXPIRED_TOKEN),
    ):
        if words in name:
            return token
    return "glsa_garbage" if "garbage" in name or "wrong" in name else ADMIN_TOKEN


@pytest.fixture(scope="module")
def replay() -> Iterator[Replay]:
    """All that was recorded, sent to the stand-in in its order."""
    with GrafanaServer(scheduler=False) as server:
        replay = Replay(server)
        for topic, name in ordered():
            _prepare(server, replay, topic, name)
            replay.send(topic, name)
        yield replay


def _prepare(server: GrafanaServer, replay: Replay, topic: str, name: str) -> None:
    """Bring the server to where the real one was, by requests that were not recorded or by time that passed."""
    state = server.state
    if name == "race 0":
        # Its check, that of 4 and that of 1 pass before any of the three has written.
        server.meanwhile(lambda: replay.send(topic, "race 4"))
        server.meanwhile(lambda: replay.send(topic, "race 1"))
    if name == "six writers with one resourceVersion, 0":
        state.folders["otel-three"] = Folder(uid="otel-three", title="otel three", id=next(state.ids))
        request = RECORDED[topic][name]["request"]["body"]
        metadata = request["metadata"]
        state.dashboards["otel-k1"] = Saved(
            uid="otel-k1",
            spec={**request["spec"], "title": "K1"},
            id=int(metadata["labels"]["grafana.app/deprecatedInternalID"]),
            folder="otel-three",
            stored="v1beta1",
            resource_version=int(metadata["resourceVersion"]),
            labels={"otel-monitoring/owner": "x"},
            annotations=dict(metadata["annotations"]),
        )
    if name == "a schema v2 one read as v1":
        spec = RECORDED["dashboards"]["create a schema v2 one"]["request"]["body"]["spec"]
        annotations = {"grafana.app/folder": "otel-three", "grafana.app/createdBy": "somebody"}
        state.dashboards["otel-v2b"] = Saved(
            uid="otel-v2b", spec=spec, id=1, stored="v2beta1", resource_version=1, annotations=annotations
        )
    if name == "templates: put":
        state.folders["otel-tmpl"] = Folder(uid="otel-tmpl", title="tmpl", id=next(state.ids))
    if name in {"live state after evaluation", "templates: live state"}:
        server.run_scheduler()


@pytest.mark.parametrize(("topic", "name"), EACH, ids=[f"{topic}: {name}" for topic, name in EACH])
def test_answers_what_a_real_grafana_answered(replay: Replay, topic: str, name: str) -> None:
    """Each recorded request gets the status and the body that were recorded, but for times and random names."""
    recorded, reply = replay.recorded(topic, name), replay.found[topic, name]
    assert reply.status == recorded["status"], reply.body
    theirs, ours = recorded.get("body"), reply.body
    if name == "templates: live state":
        # Grafana's templates are not played here.
        theirs, ours = _without_texts(theirs), _without_texts(ours)
    assert not list(_differences(theirs, ours))
    for header in ("content-type", "location"):
        expected = recorded["headers"].get(header, "").partition(";")[0].lower()
        assert reply.headers.get(header, "").partition(";")[0].lower() == expected


def _without_texts(value: Any) -> Any:
    """Return a reply without what its templates became."""
    if isinstance(value, list):
        return [_without_texts(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: sorted(item) if key == "annotations" else _without_texts(item) for key, item in value.items()}


def _differences(theirs: Any, ours: Any, where: str = "", *, loose: bool = False) -> Iterator[str]:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        yield from _differing_objects(theirs, ours, where, loose=loose)
    elif isinstance(theirs, list) and isinstance(ours, list):
        if len(theirs) != len(ours):
            yield f"{where}: {len(theirs)} of them, and here {len(ours)}"
        for number, (one, other) in enumerate(zip(_sorted(theirs), _sorted(ours), strict=False)):
            yield from _differences(one, other, f"{where}[{number}]", loose=loose)
    elif loose or _is_moment(theirs):
        if _kind(theirs) is not _kind(ours):
            yield f"{where}: {theirs!r}, and here {ours!r}"
    elif theirs != ours and not (isinstance(theirs, str) and theirs.startswith("<!DOCTYPE")):
        yield f"{where}: {theirs!r}, and here {ours!r}"


def _differing_objects(theirs: Json, ours: Json, where: str, *, loose: bool) -> Iterator[str]:
    left_out = "…" in theirs  # the record is shortened
    missing = set(theirs) - {"…"} - set(ours)
    if missing or (set(ours) - set(theirs) and not left_out):
        yield f"{where}: keys {sorted(set(theirs) ^ set(ours))}"
    for key in theirs.keys() & ours.keys():
        if key not in OPAQUE:
            yield from _differences(theirs[key], ours[key], f"{where}.{key}", loose=loose or key in VARIES)


def _sorted(items: list[Any]) -> list[Any]:
    """Return alerts by name, since they come in no order; all else as it is."""
    if items and all(isinstance(item, dict) and "alertname" in (item.get("labels") or ()) for item in items):
        return sorted(items, key=lambda item: str(item["labels"]["alertname"]))
    return items


def _is_moment(value: Any) -> bool:
    return isinstance(value, int | float) and value > MOMENT


def _kind(value: Any) -> type:
    return float if type(value) is int else type(value)
