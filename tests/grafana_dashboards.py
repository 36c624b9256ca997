"""The stand-in's dashboards: the classic way, and as resources."""

from __future__ import annotations

import copy
import json
import re
import unicodedata
import uuid
from typing import Any
from urllib.parse import unquote

from tests.grafana_requests import Answer, Asked, Json, Refusal, Saved, State, kubernetes, now

GROUP = "dashboard.grafana.app"
LARGEST = 16 * 2**20
LONGEST_UID = 40
LONGEST_MESSAGE = 500
USER = "user:fg57n0wnlwe0wf"
BUILT_IN = {
    "builtIn": 1,
    "datasource": {"type": "grafana", "uid": "-- Grafana --"},
    "enable": True,
    "hide": True,
    "iconColor": "rgba(0, 211, 255, 1)",
    "name": "Annotations & Alerts",
    "type": "dashboard",
}
FILLED: Json = {
    "annotations": {"list": [BUILT_IN]},
    "editable": True,
    "fiscalYearStartMonth": 0,
    "graphTooltip": 0,
    "links": [],
    "panels": [],
    "refresh": "",
    "tags": [],
    "templating": {"list": []},
    "time": {"from": "now-6h", "to": "now"},
    "timepicker": {},
    "timezone": "",
    "weekStart": "",
}
TEXTS = ("title", "description", "refresh", "timezone", "weekStart")
LISTS = ("panels", "tags", "links")
VERSIONS = ("v1beta1", "v0alpha1", "v2beta1", "v2alpha1")


def slug(title: str) -> str:
    """Return a title as it stands in addresses."""
    plain = "".join(ch for ch in unicodedata.normalize("NFKD", title) if not unicodedata.combining(ch))
    text = "".join(_slug_of(ch) for ch in plain.lower())
    return re.sub("-+", "-", text).strip("-")


def _slug_of(character: str) -> str:
    if character.isascii() and character.isalnum():
        return character
    return "-" if character in " -_/." else character.encode().hex() + "-"


# The classic way


def get_classic(state: State, asked: Asked, uid: str) -> Answer:
    asked.needs("Viewer", "dashboards:read")
    saved = state.dashboards.get(unquote(uid))
    if saved is None:
        raise Refusal(404, "Dashboard not found")
    spec = _converted(saved.spec) if saved.stored.startswith("v2") else saved.spec
    dashboard = {**spec, "id": saved.id, "uid": saved.uid, "version": saved.version}
    return Answer(200, {"dashboard": dashboard, "meta": _meta(state, saved)})


def _meta(state: State, saved: Saved) -> Json:
    may = {"canAdd": True, "canDelete": True, "canEdit": True}
    folder = state.folders.get(saved.folder)
    name = slug(saved.spec["title"])
    return {
        "annotationsPermissions": {"dashboard": may, "organization": may},
        "apiVersion": "v0alpha1",
        **dict.fromkeys(("canAdmin", "canDelete", "canEdit", "canSave", "canStar"), True),
        "created": saved.made,
        "createdBy": "Anonymous",
        "expires": "0001-01-01T00:00:00Z",
        "folderId": folder.id if folder else 0,
        "folderTitle": folder.title if folder else "General",
        "folderUid": folder.uid if folder else "",
        "folderUrl": f"/dashboards/f/{folder.uid}/{slug(folder.title)}" if folder else "",
        "hasAcl": False,
        "isFolder": False,
        "provisioned": bool(saved.file),
        "provisionedExternalId": saved.file.rpartition("/")[2],
        "slug": name,
        "type": "db",
        "updated": saved.changed or saved.made,
        "updatedBy": "Anonymous",
        "url": f"/d/{saved.uid}/{name}",
        "version": saved.version,
    }


def save_classic(state: State, asked: Asked) -> Answer:
    if len(asked.raw) > LARGEST:
        raise Refusal(413, "Dashboard is too large, max is 16 MB")
    body = asked.body()
    if not isinstance(body.get("dashboard"), dict):
        raise Refusal(400, "bad request data")
    asked.needs("Editor", "any of dashboards:create, dashboards:write")
    given: Json = body["dashboard"]
    folder, message = body.get("folderUid") or "", body.get("message") or ""
    _refuse_classic(state, given, folder, message)
    with state.lock:
        before = _known(state, given)
        _refuse_stale(before, given, overwrite=body.get("overwrite") is True)
    # Here is the gap: what was checked above may have changed when it is written below.
    state.happen_meanwhile()
    with state.lock:
        saved = _write_classic(state, given, before=before, folder=folder, message=message)
    name = slug(saved.spec["title"])
    answer = {"folderUid": folder, "id": saved.id, "slug": name, "status": "success", "uid": saved.uid}
    return Answer(200, {**answer, "url": f"/d/{saved.uid}/{name}", "version": saved.version})


def _refuse_classic(state: State, given: Json, folder: str, message: str) -> None:
    uid = given.get("uid") or ""
    if not given.get("title"):
        raise Refusal(400, "Dashboard title cannot be empty", status="empty-name")
    if len(uid) > LONGEST_UID:
        raise Refusal(400, "uid too long, max 40 characters")
    if not re.fullmatch(r"[A-Za-z0-9_-]*", uid):
        raise Refusal(400, "uid contains illegal characters")
    if len(message) > LONGEST_MESSAGE:
        raise Refusal(400, "message too long, max 500 characters")
    if folder and folder not in state.folders:
        raise Refusal(400, "folder not found")
    if uid in state.dashboards and state.dashboards[uid].file:
        raise Refusal(400, "Cannot save provisioned dashboard")


def _known(state: State, given: Json) -> Saved | None:
    number = given.get("id")
    if number:
        for saved in state.dashboards.values():
            if saved.id == number:
                return saved
        raise Refusal(404, "Dashboard not found", status="not-found")
    return state.dashboards.get(given.get("uid") or "")


def _refuse_stale(before: Saved | None, given: Json, *, overwrite: bool) -> None:
    if before is not None and not overwrite and given.get("version") != before.version:
        raise Refusal(412, "The dashboard has been changed by someone else", status="version-mismatch")


def _write_classic(state: State, given: Json, *, before: Saved | None, folder: str, message: str) -> Saved:
    spec = {name: value for name, value in given.items() if name not in {"id", "uid", "version"}}
    if before is None:
        saved = Saved(uid=given.get("uid") or str(uuid.uuid4()), spec=spec, id=next(state.ids), folder=folder)
        state.dashboards[saved.uid] = saved
    else:
        saved = before
        if saved.spec == spec and saved.folder == folder:
            return saved
        saved.spec, saved.folder, saved.version, saved.changed = spec, folder, saved.version + 1, now()
        saved.stored = "v0alpha1"
    _keep(state, saved, message)
    return saved


def _keep(state: State, saved: Saved, message: str) -> None:
    saved.resource_version = next(state.resource_versions)
    if saved.version == 1:
        saved.annotations["grafana.app/createdBy"] = USER
        message = "Initial save"
    else:
        saved.annotations |= {"grafana.app/updatedBy": USER, "grafana.app/updatedTimestamp": saved.changed}
    if saved.folder:
        saved.annotations["grafana.app/folder"] = saved.folder
    else:
        saved.annotations.pop("grafana.app/folder", None)
    saved.history.insert(
        0,
        {
            "id": saved.version,
            "dashboardId": saved.id,
            "uid": saved.uid,
            "version": saved.version,
            "parentVersion": saved.version - 1,
            "restoredFrom": 0,
            "created": now(),
            "createdBy": "admin",
            "message": message,
            "data": {**copy.deepcopy(saved.spec), "uid": saved.uid, "version": saved.version},
        },
    )


def delete_classic(state: State, asked: Asked, uid: str) -> Answer:
    asked.needs("Editor", "dashboards:delete")
    saved = state.dashboards.get(unquote(uid))
    if saved is None:
        raise Refusal(404, "Dashboard not found")
    if saved.file:
        raise Refusal(400, "provisioned dashboard cannot be deleted")
    del state.dashboards[saved.uid]
    title = saved.spec["title"]
    return Answer(200, {"message": f"Dashboard {title} deleted", "title": title, "uid": saved.uid})


def versions(state: State, asked: Asked, uid: str) -> Answer:
    return Answer(200, {"continueToken": "", "versions": state.dashboards[uid].history})


def dashboard_permissions(state: State, asked: Asked, uid: str) -> Answer:
    saved = state.dashboards[uid]
    nobody = dict.fromkeys(("team", "teamAvatarUrl", "teamEmail", "teamUid", "userUid"), "")
    who = {"userId": 1, "userLogin": "admin", "userEmail": "admin@localhost", "teamId": 0}
    shown = {"userAvatarUrl": "/public/img/user_profile.png", "permission": 4, "permissionName": "Admin"}
    what = {"dashboardId": saved.id, "uid": uid, "title": saved.spec["title"], "slug": slug(saved.spec["title"])}
    where = {"url": f"/d/{uid}/{slug(saved.spec['title'])}", "isFolder": False, "inherited": False}
    times = {"created": saved.made, "updated": saved.made}
    return Answer(200, [{**nobody, **who, **shown, **what, **where, **times}])


def tags(state: State, asked: Asked) -> Answer:
    counts: dict[str, int] = {}
    for saved in state.dashboards.values():
        for tag in saved.spec.get("tags") or []:
            counts[tag] = counts.get(tag, 0) + 1
    return Answer(200, [{"term": tag, "count": counts[tag]} for tag in sorted(counts)])


# As resources


def group_versions() -> Json:
    found = [{"groupVersion": f"{GROUP}/{version}", "version": version} for version in VERSIONS]
    return {"name": GROUP, "versions": found, "preferredVersion": found[0]}


def api_group(state: State, asked: Asked) -> Answer:
    return Answer(200, {"kind": "APIGroup", "apiVersion": "v1", **group_versions()})


def api_groups(state: State, asked: Asked) -> Answer:
    host = asked.headers.get("host", "")
    served = [{"clientCIDR": "0.0.0.0/0", "serverAddress": host}]
    groups = [{**group_versions(), "serverAddressByClientCIDRs": served}]
    for name, version in (("folder.grafana.app", "v1beta1"), ("notifications.alerting.grafana.app", "v0alpha1")):
        only = {"groupVersion": f"{name}/{version}", "version": version}
        groups.append(
            {"name": name, "versions": [only], "preferredVersion": only, "serverAddressByClientCIDRs": served}
        )
    return Answer(200, {"groups": groups})


def _missing(uid: str, group: str = GROUP, kind: str = "dashboards") -> Answer:
    return kubernetes(404, "NotFound", f'{kind}.{group} "{uid}" not found', name=uid, group=group, kind=kind)


def _resource(saved: Saved, version: str, managed: bool = True) -> Json:
    stored_v2, read_v2 = saved.stored.startswith("v2"), version.startswith("v2")
    spec = _converted(saved.spec) if stored_v2 and not read_v2 else saved.spec
    labels = {"grafana.app/deprecatedInternalID": str(saved.id), **saved.labels}
    metadata: Json = {
        "name": saved.uid,
        "namespace": "default",
        "uid": saved.object_uid,
        "resourceVersion": str(saved.resource_version),
        "generation": saved.version,
        "creationTimestamp": saved.made,
        "labels": labels,
        "annotations": dict(saved.annotations),
    }
    if not stored_v2 and managed:
        metadata["managedFields"] = _managed_fields(saved)
    status = {} if saved.stored == version else {"conversion": {"failed": False, "storedVersion": saved.stored}}
    shown = spec if read_v2 or stored_v2 else _filled(spec)
    return {
        "apiVersion": f"{GROUP}/{version}",
        "kind": "Dashboard",
        "metadata": metadata,
        "spec": copy.deepcopy(shown),
        "status": status,
    }


def _managed_fields(saved: Saved) -> list[Json]:
    fields: Json = {"f:spec": {f"f:{name}": {} for name in saved.spec}}
    manager = "grafana" if saved.stored == "v0alpha1" else "otel-monitoring"
    return [
        {
            "manager": manager,
            "operation": "Update",
            "apiVersion": f"{GROUP}/{saved.stored}",
            "time": saved.made,
            "fieldsType": "FieldsV1",
            "fieldsV1": fields,
        }
    ]


def _filled(spec: Json) -> Json:
    """Return a dashboard as the resource API tidies it."""
    found: Json = {**copy.deepcopy(FILLED), **copy.deepcopy(spec), "schemaVersion": 42}
    for name in ("uid", "id", "version"):
        found.pop(name, None)
    highest = max([panel.get("id") or 0 for panel in found["panels"]], default=0)
    for panel in found["panels"]:
        if panel.get("transparent") is False:
            del panel["transparent"]
        if not panel.get("id"):
            highest += 1
            panel["id"] = highest
    for variable in found["templating"]["list"]:
        variable.setdefault("options", [])
    if not any(annotation.get("builtIn") for annotation in found["annotations"]["list"]):
        found["annotations"]["list"].insert(0, copy.deepcopy(BUILT_IN))
    return found


def _converted(spec: Json) -> Json:
    """Return a dashboard of schema v2 as Grafana shows it to those who know v1 only."""
    times = spec["timeSettings"]
    return {
        "annotations": {"list": []},
        "editable": spec["editable"],
        "fiscalYearStartMonth": times["fiscalYearStartMonth"],
        "graphTooltip": 0,
        "liveNow": spec["liveNow"],
        "preload": spec["preload"],
        "refresh": times["autoRefresh"],
        "schemaVersion": 42,
        "time": {"from": times["from"], "to": times["to"]},
        "timepicker": {"refresh_intervals": times["autoRefreshIntervals"]},
        "timezone": times["timezone"],
        "title": spec["title"],
    }


def get_resource(state: State, asked: Asked, version: str, uid: str) -> Answer:
    saved = state.dashboards.get(unquote(uid))
    if saved is None:
        return _missing(unquote(uid))
    return Answer(200, _resource(saved, version))


def list_resources(state: State, asked: Asked, version: str) -> Answer:
    selector = asked.one("labelSelector")
    wanted = dict(pair.split("=", 1) for pair in selector.split(",") if pair)
    limit, start = int(asked.one("limit", "500")), int(asked.one("continue", "0") or 0)
    fitting = [saved for saved in state.dashboards.values() if wanted.items() <= saved.labels.items()]
    items = [_resource(saved, version) for saved in fitting[start : start + limit]]
    # Grafana names a next page behind the last one, too.
    metadata = {"resourceVersion": str(next(state.resource_versions)), "continue": str(start + limit)}
    return Answer(
        200, {"kind": "DashboardList", "apiVersion": f"{GROUP}/{version}", "metadata": metadata, "items": items}
    )


def create_resource(state: State, asked: Asked, version: str) -> Answer:
    asked.needs("Editor", "dashboards:create")
    body = asked.body()
    metadata: Json = body.get("metadata") or {}
    uid = metadata.get("name") or f"{metadata.get('generateName', '')}{uuid.uuid4().hex[:12]}"
    refused = _misfit(state, body, uid)
    if refused is not None:
        return refused
    state.happen_meanwhile()
    with state.lock:
        if uid in state.dashboards:
            message = f'dashboards.{GROUP} "{uid}" already exists'
            return kubernetes(409, "AlreadyExists", message, name=uid, group=GROUP, kind="dashboards")
        saved = Saved(uid=uid, spec={}, id=next(state.ids), version=0)
        _take(state, saved, body, version)
        if asked.one("dryRun") != "All":
            state.dashboards[uid] = saved
    return Answer(201, _resource(saved, version))


def replace_resource(state: State, asked: Asked, version: str, uid: str) -> Answer:
    asked.needs("Editor", "dashboards:write")
    body = asked.body()
    refused = _misfit(state, body, uid)
    if refused is not None:
        return refused
    state.happen_meanwhile()
    with state.lock:
        saved = state.dashboards.get(unquote(uid))
        if saved is None:
            return _missing(unquote(uid))
        expected = body["metadata"].get("resourceVersion")
        if expected and expected != str(saved.resource_version):
            message = (
                f'Operation cannot be fulfilled on dashboards.{GROUP} "{uid}": the object has been modified; '
                f"please apply your changes to the latest version and try again"
            )
            return kubernetes(409, "Conflict", message, name=uid, group=GROUP, kind="dashboards")
        if asked.one("dryRun") == "All":
            tried = copy.deepcopy(saved)
            tried.spec = {k: v for k, v in body["spec"].items() if k not in {"id", "uid", "version"}}
            return Answer(200, _resource(tried, version))
        if saved.file:
            # Answered with 200, and nothing is kept.
            saved.resource_version = next(state.resource_versions)
            return Answer(200, _resource(saved, version, managed=False))
        _take(state, saved, body, version)
        return Answer(200, _resource(saved, version))


def patch_resource(state: State, asked: Asked, version: str, uid: str) -> Answer:
    if "apply-patch" in asked.headers.get("content-type", ""):
        message = (
            f'failed to convert to unversioned (/{uid}; {GROUP}/{version}, Kind=Dashboard): no kind "Dashboard" is '
            f'registered for the internal version of group "{GROUP}" in scheme "pkg/runtime/scheme.go:111"'
        )
        return kubernetes(500, "", message)
    saved = state.dashboards[uid]
    resource = _resource(saved, version)
    resource["spec"].update(json.loads(asked.raw)["spec"])
    _take(state, saved, resource, version)
    return Answer(200, _resource(saved, version))


def delete_resource(state: State, asked: Asked, version: str, uid: str) -> Answer:
    saved = state.dashboards.pop(unquote(uid), None)
    if saved is None:
        return _missing(unquote(uid))
    details = {"name": uid, "group": GROUP, "kind": "dashboards", "uid": saved.object_uid}
    return Answer(200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})


def _take(state: State, saved: Saved, body: Json, version: str) -> None:
    spec: Json = body["spec"]
    metadata: Json = body.get("metadata") or {}
    annotations = dict(metadata.get("annotations") or {})
    saved.spec = copy.deepcopy(spec) if version.startswith("v2") else _filled(spec)
    saved.stored = version
    saved.version += 1
    saved.changed = now()
    saved.labels = {k: v for k, v in (metadata.get("labels") or {}).items() if k != "grafana.app/deprecatedInternalID"}
    saved.folder = annotations.get("grafana.app/folder", "")
    saved.annotations = annotations
    _keep(state, saved, annotations.get("grafana.app/message", ""))


def _misfit(state: State, body: Json, uid: str) -> Answer | None:
    spec: Any = body.get("spec")
    wrong = [(name, "string", str) for name in TEXTS] + [(name, "list", list) for name in LISTS]
    for name, right, kind in wrong:
        if spec.get(name) is not None and not isinstance(spec[name], kind):
            given = json.dumps(spec[name])
            reason = f"Invalid value: conflicting values {given} and {right} (mismatched types int and {right})"
            cause = {"reason": "FieldValueInvalid", "message": reason, "field": f"spec.{name}"}
            message = f'Dashboard.{GROUP} "{uid}" is invalid: spec.{name}: {reason}'
            return kubernetes(422, "Invalid", message, name=uid, group=GROUP, kind="Dashboard", causes=[cause])
    folder = ((body.get("metadata") or {}).get("annotations") or {}).get("grafana.app/folder")
    if folder and folder not in state.folders:
        return _missing(folder, "folder.grafana.app", "folders")
    return None
