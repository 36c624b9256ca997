"""The stand-in's folders, datasources, annotations, search, and who is who."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tests.grafana_dashboards import slug
from tests.grafana_evaluation import SyntaxFailure, run_query
from tests.grafana_requests import Answer, Asked, Folder, Json, Refusal, State, new_uid, now, now_ms

if TYPE_CHECKING:
    from tests.grafana_requests import Saved

READ_ONLY = {"prometheus"}
EXECUTED = {"calculatedMinStep": 15000}


def health(state: State, asked: Asked) -> Answer:
    return Answer(200, {"commit": "NA", "database": "ok", "version": "12.4.0"})


def frontend_settings(state: State, asked: Asked) -> Answer:
    build = {"version": "12.4.0", "versionString": "Grafana v12.4.0 (NA)", "commit": "NA", "commitShort": "NA"}
    more = {"buildstamp": 1, "edition": "Open Source", "env": "production", "hasUpdate": False, "hideVersion": False}
    return Answer(200, {"buildInfo": {**build, **more, "latestVersion": ""}, "namespace": "default"})


def org(state: State, asked: Asked) -> Answer:
    address = dict.fromkeys(("address1", "address2", "city", "country", "state", "zipCode"), "")
    return Answer(200, {"id": 1, "name": "Main Org.", "address": address})


def user(state: State, asked: Asked) -> Answer:
    flags = dict.fromkeys(("isDisabled", "isExternal", "isExternallySynced", "isProvisioned"), False)
    more = {"isGrafanaAdmin": True, "isGrafanaAdminExternallySynced": False, "theme": "", "orgId": 1, "authLabels": []}
    named = {"id": 1, "uid": "fg57n0wnlwe0wf", "login": "admin", "name": "", "email": "admin@localhost"}
    times = {"createdAt": now(), "updatedAt": now(), "avatarUrl": "/public/img/user_profile.png"}
    return Answer(200, {**flags, **more, **named, **times})


def permissions(state: State, asked: Asked) -> Answer:
    if asked.role == "None":
        return Answer(200, {"folders:read": ["folders:uid:sharedwithme"]})
    return Answer(200, _administrators_permissions())


@cache
def _administrators_permissions() -> Json:
    """Return what an administrator may do, which is a long list that never changes: as it was recorded."""
    recorded = json.loads((Path(__file__).parent / "recorded" / "auth.json").read_text())
    body: Json = recorded["permissions of this user"]["response"]["body"]
    return body


def create_service_account(state: State, asked: Asked) -> Answer:
    body = asked.body()
    number = len(state.service_accounts) + 2
    account = {
        "id": number,
        "uid": new_uid(),
        "name": body["name"],
        "login": f"sa-1-{body['name'].lower()}",
        "orgId": 1,
        "isDisabled": False,
        "role": body["role"],
        "tokens": 0,
        "avatarUrl": "",
    }
    state.service_accounts.append(account)
    return Answer(201, account)


def create_token(state: State, asked: Asked, number: str) -> Answer:
    body = asked.body()
    role = next(account["role"] for account in state.service_accounts if account["id"] == int(number))
    key = f"glsa_{new_uid()}{new_uid()}"
    state.tokens[key] = role
    if body.get("secondsToLive"):
        state.expired.add(key)
    return Answer(200, {"id": next(state.ids), "key": key, "name": body["name"]})


# Folders


def shown_folder(state: State, folder: Folder, role: str = "Admin") -> Json:
    may = role == "Admin"
    found: Json = {
        "id": folder.id,
        "uid": folder.uid,
        "orgId": 1,
        "title": folder.title,
        "url": f"/dashboards/f/{folder.uid}/{slug(folder.title)}",
        "hasAcl": False,
        **dict.fromkeys(("canSave", "canEdit", "canAdmin", "canDelete"), may),
        "createdBy": folder.by,
        "created": folder.made,
        "updatedBy": folder.changed_by,
        "updated": now(),
        "version": folder.version,
    }
    if folder.parent:
        found["parentUid"] = folder.parent
        if folder.parent in state.folders:
            found["parents"] = [shown_folder(state, state.folders[folder.parent])]
    return found


def list_folders(state: State, asked: Asked) -> Answer:
    if asked.role == "None":
        return Answer(200, [])
    parent = asked.one("parentUid")
    chosen = sorted((f for f in state.folders.values() if f.parent == parent), key=lambda f: f.title.casefold())
    shown: list[Json] = []
    for folder in chosen:
        managed = {"managedBy": folder.managed} if folder.managed else {}
        shown.append({"id": folder.id, "uid": folder.uid, "title": folder.title, **managed})
    return Answer(200, shown)


def get_folder(state: State, asked: Asked, uid: str) -> Answer:
    asked.needs("Viewer", "folders:read")
    folder = state.folders.get(unquote(uid))
    if folder is None:
        raise Refusal(404, "folder not found", status="not-found")
    return Answer(200, shown_folder(state, folder))


def create_folder(state: State, asked: Asked) -> Answer:
    asked.needs("Editor", "folders:create")
    body = asked.body()
    if not body.get("title"):
        raise Refusal(400, "folder title cannot be empty")
    uid = body.get("uid") or new_uid()
    if uid in state.folders:
        raise Refusal(412, "the folder has been changed by someone else")
    by = "admin" if asked.user == "admin" else "Anonymous"
    folder = Folder(uid=uid, title=body["title"], id=next(state.ids), parent=body.get("parentUid") or "", by=by)
    state.folders[uid] = folder
    return Answer(200, shown_folder(state, folder, asked.role))


def update_folder(state: State, asked: Asked, uid: str) -> Answer:
    asked.needs("Editor", "folders:write")
    body, folder = asked.body(), state.folders[unquote(uid)]
    if not body.get("overwrite") and body.get("version") != folder.version:
        raise Refusal(412, "The dashboard has been changed by someone else")
    folder.title, folder.version, folder.changed_by = body["title"], folder.version + 1, "admin"
    return Answer(200, shown_folder(state, folder))


def delete_folder(state: State, asked: Asked, uid: str) -> Answer:
    asked.needs("Editor", "folders:delete")
    folder = state.folders.get(unquote(uid))
    if folder is None:
        raise Refusal(404, f'folders.folder.grafana.app "{uid}" not found')
    if asked.one("forceDeleteRules") != "true" and any(rule.folder == folder.uid for rule in state.rules.values()):
        raise Refusal(
            400, "Folder cannot be deleted: folder is not empty", messageId="folder.not-empty", statusCode=400
        )
    for kept in (state.rules, state.dashboards):
        for name in [name for name, thing in kept.items() if thing.folder == folder.uid]:
            del kept[name]
    for child in [child for child in state.folders.values() if child.parent == folder.uid]:
        delete_folder(state, asked, child.uid)
    del state.folders[folder.uid]
    return Answer(200, {"message": "Folder deleted"})


# Datasources


def _listed(datasource: Json) -> Json:
    left_out = ("apiVersion", "basicAuthUser", "secureJsonFields", "version", "withCredentials")
    return {**{k: v for k, v in datasource.items() if k not in left_out}, "typeName": "Prometheus"}


def new_datasource(state: State, **given: Any) -> Json:
    made: Json = {
        "id": len(state.datasources) + 1,
        "uid": new_uid(),
        "orgId": 1,
        "access": "proxy",
        "apiVersion": "",
        "basicAuth": False,
        "basicAuthUser": "",
        "database": "",
        "isDefault": False,
        "jsonData": {},
        "readOnly": False,
        "secureJsonFields": {},
        "typeLogoUrl": "public/plugins/prometheus/img/prometheus_logo.svg",
        "user": "",
        "version": 1,
        "withCredentials": False,
        **given,
    }
    state.datasources[made["uid"]] = made
    return made


def list_datasources(state: State, asked: Asked) -> Answer:
    asked.needs("Viewer", "datasources:read")
    chosen = sorted(state.datasources.values(), key=lambda found: found["name"])
    return Answer(200, [_listed(found) for found in chosen])


def create_datasource(state: State, asked: Asked) -> Answer:
    asked.needs("Admin", "datasources:create")
    body = asked.body()
    if any(found["name"] == body["name"] for found in state.datasources.values()):
        raise Refusal(409, "data source with the same name already exists")
    made = new_datasource(state, **body)
    return Answer(200, {"datasource": made, "id": made["id"], "message": "Datasource added", "name": made["name"]})


def _datasource(state: State, uid: str) -> Json:
    found = state.datasources.get(unquote(uid))
    if found is None:
        raise Refusal(404, "Data source not found")
    return found


def get_datasource(state: State, asked: Asked, uid: str) -> Answer:
    asked.needs("Viewer", "datasources:read")
    return Answer(200, _datasource(state, uid))


def get_datasource_by_name(state: State, asked: Asked, name: str) -> Answer:
    asked.needs("Viewer", "datasources:read")
    for found in state.datasources.values():
        if found["name"] == unquote(name):
            return Answer(200, found)
    raise Refusal(404, "Data source not found")


def update_datasource(state: State, asked: Asked, uid: str) -> Answer:
    found = _datasource(state, uid)
    if found["readOnly"]:
        raise Refusal(403, "Cannot update read-only data source")
    found.update(asked.body())
    return Answer(200, {"datasource": found, "id": found["id"], "message": "Datasource updated", "name": found["name"]})


def datasource_health(state: State, asked: Asked, uid: str) -> Answer:
    found = _datasource(state, uid)
    if found["url"].endswith(":9"):
        failed = f'Post "{found["url"]}/api/v1/query": dial tcp {found["url"][7:]}: connect: connection refused'
        message = f"{failed} - There was an error returned querying the Prometheus API."
        return Answer(400, {"status": "ERROR", "message": message})
    details = {"application": "Prometheus", "features": {"rulerApiEnabled": False}}
    return Answer(200, {"status": "OK", "message": "Successfully queried the Prometheus API.", "details": details})


def proxied(state: State, asked: Asked, uid: str) -> Answer:
    result = [
        {"metric": labels, "value": [now_ms() / 1000, f"{value:g}"]} for labels, value in run_query(asked.one("query"))
    ]
    return Answer(200, {"status": "success", "data": {"resultType": "vector", "result": result}})


def query(state: State, asked: Asked) -> Answer:
    results: Json = {}
    status = 200
    for wanted in asked.body()["queries"]:
        ref_id, expr = wanted["refId"], wanted["expr"]
        _datasource(state, wanted["datasource"]["uid"])
        meta = {"custom": dict(EXECUTED), "executedQueryString": f"Expr: {expr}\nStep: 15s", "typeVersion": [0, 0]}
        try:
            samples = run_query(expr)
        except SyntaxFailure as failure:
            status = 400
            frame = {"schema": {"refId": ref_id, "meta": meta, "fields": []}, "data": {"values": []}}
            error = {"error": str(failure), "errorSource": "downstream", "status": 400}
            results[ref_id] = {**error, "frames": [frame]}
            continue
        frames = [_frame(ref_id, labels, value, expr) for labels, value in samples]
        results[ref_id] = {"status": 200, "frames": frames}
    return Answer(status, {"results": results})


def _frame(ref_id: str, labels: dict[str, str], value: float, expr: str) -> Json:
    shown = ", ".join(f'{name}="{labels[name]}"' for name in sorted(labels) if name != "__name__")
    name = labels.get("__name__", "Value")
    meta = {
        "custom": {**EXECUTED, "resultType": "vector"},
        "executedQueryString": f"Expr: {expr}\nStep: 15s",
        "type": "numeric-multi",
        "typeVersion": [0, 1],
    }
    time = {"name": "Time", "type": "time", "typeInfo": {"frame": "time.Time"}, "config": {"interval": 15000}}
    number = {
        "name": name,
        "type": "number",
        "typeInfo": {"frame": "float64"},
        "labels": labels,
        "config": {"displayNameFromDS": f"{name}{{{shown}}}"},
    }
    schema = {"refId": ref_id, "meta": meta, "fields": [time, number]}
    return {"schema": schema, "data": {"values": [[now_ms()], [value]]}}


# Annotations


def create_annotation(state: State, asked: Asked) -> Answer:
    asked.needs("Editor", "annotations:create")
    body = asked.body()
    dashboard = body.get("dashboardUID") or ""
    if dashboard and dashboard not in state.dashboards:
        raise Refusal(500, "Error while checking annotation permissions")
    if not body.get("text"):
        raise Refusal(400, "Failed to save annotation")
    made: Json = {
        "id": len(state.annotations) + 1,
        "dashboardUID": dashboard,
        "tags": body.get("tags") or [],
        "text": body["text"],
        "time": body.get("time") or now_ms(),
        "created": now_ms(),
        "updated": now_ms(),
        "login": "admin",
        "email": "admin@localhost",
        "avatarUrl": "/public/img/user_profile.png",
        "data": {},
    }
    made["timeEnd"] = body.get("timeEnd") or made["time"]
    if dashboard:
        made["dashboardId"] = state.dashboards[dashboard].id
    state.annotations.append(made)
    return Answer(200, {"id": made["id"], "message": "Annotation added"})


def find_annotations(state: State, asked: Asked) -> Answer:
    wanted = set(asked.query.get("tags", []))
    found = [made for made in reversed(state.annotations) if wanted <= set(made["tags"])]
    return Answer(200, found)


# Search

HIGHEST_LIMIT = 5000


def search(state: State, asked: Asked) -> Answer:
    if asked.headers.get("x-grafana-org-id", "1") != "1":
        raise Refusal(500, "Search failed")
    limit, page = int(asked.one("limit", "1000")), int(asked.one("page", "1"))
    if limit > HIGHEST_LIMIT:
        raise Refusal(422, "Limit is above maximum allowed (5000), use page parameter to access hits beyond limit")
    if asked.role == "None":
        return Answer(200, [])
    hits = [_folder_hit(state, folder) for folder in sorted(state.folders.values(), key=lambda f: f.title.casefold())]
    hits += [_hit(state, saved) for saved in sorted(state.dashboards.values(), key=lambda s: s.spec["title"])]
    hits = [hit for hit in hits if _fits(hit, asked)]
    return Answer(200, hits[(page - 1) * limit : page * limit])


def _fits(hit: Json, asked: Asked) -> bool:
    folders = asked.query.get("folderUIDs", [])
    return (
        asked.one("type", hit["type"]) == hit["type"]
        and set(asked.query.get("tag", [])) <= set(hit["tags"])
        and (not folders or hit.get("folderUid") in folders)
        and asked.one("query").casefold() in hit["title"].casefold()
    )


def _where(state: State, uid: str) -> Json:
    if not uid or uid not in state.folders:
        return {}
    folder = state.folders[uid]
    url = f"/dashboards/f/{uid}/{slug(folder.title)}"
    return {"folderId": folder.id, "folderUid": uid, "folderTitle": folder.title, "folderUrl": url}


def _folder_hit(state: State, folder: Folder) -> Json:
    name = slug(folder.title)
    return {
        "id": folder.id,
        "uid": folder.uid,
        "orgId": 1,
        "title": folder.title,
        "uri": f"db/{name}",
        "url": f"/dashboards/f/{folder.uid}/{name}",
        "slug": "",
        "type": "dash-folder",
        "tags": [],
        "isStarred": False,
        "sortMeta": 0,
        "isDeleted": False,
        **_where(state, folder.parent),
    }


def _hit(state: State, saved: Saved) -> Json:
    title = saved.spec["title"]
    name = slug(title)
    return {
        "id": saved.id,
        "uid": saved.uid,
        "orgId": 1,
        "title": title,
        "uri": f"db/{name}",
        "url": f"/d/{saved.uid}/{name}",
        "slug": "",
        "type": "dash-db",
        "tags": saved.spec.get("tags") or [],
        "isStarred": False,
        "sortMeta": 0,
        "isDeleted": False,
        **_where(state, saved.folder),
    }


# Contact points


def contact_points(state: State, asked: Asked) -> Answer:
    return Answer(200, state.contact_points)


def create_contact_point(state: State, asked: Asked) -> Answer:
    body = asked.body()
    if body["type"] != "webhook":
        raise Refusal(400, f"invalid object specification: unknown integration type: {body['type']}")
    made = {"uid": new_uid(), "disableResolveMessage": False, **body}
    state.contact_points.append(made)
    return Answer(202, made)


def delete_contact_point(state: State, asked: Asked, uid: str) -> Answer:
    state.contact_points = [made for made in state.contact_points if made["uid"] != uid]
    return Answer(202, {"message": "contactpoint deleted"})


def policies(state: State, asked: Asked) -> Answer:
    return Answer(200, {"receiver": "empty", "group_by": ["grafana_folder", "alertname"]})
