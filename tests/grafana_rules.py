"""The stand-in's alert rules: single ones, groups, their provenance, and what its scheduler makes of them."""

from __future__ import annotations

import copy
import re
from typing import Any
from urllib.parse import unquote

from tests.grafana_evaluation import classic_value, run_all
from tests.grafana_requests import NO_TIME, Answer, Asked, Json, Refusal, Rule, State, new_uid, now

LONGEST_TITLE = 190
NO_DATA_STATES = {"Alerting", "NoData", "OK", "KeepLast"}
ERROR_STATES = {"Alerting", "Error", "OK", "KeepLast"}
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
KNOWN = (
    *("annotations", "condition", "data", "execErrState", "for", "isPaused", "keep_firing_for", "labels"),
    *("noDataState", "notification_settings", "record", "title", "uid"),
)
WRITE = "any of alert.provisioning:write, alert.rules.provisioning:write"
READ = (
    "any of alert.provisioning:read, alert.rules.provisioning:read, alert.provisioning.secrets:read, "
    "all of alert.rules:read, folders:read"
)


def _seconds(text: Any) -> int:
    """Read a duration, or refuse it as Grafana does: without a reason."""
    if isinstance(text, int):
        return text
    found = re.findall(r"(\d+)([smhdw])", text or "0s")
    if "".join(number + unit for number, unit in found) != (text or "0s"):
        raise Refusal(400, "bad request data")
    return sum(int(number) * UNITS[unit] for number, unit in found)


def _duration(seconds: int) -> str:
    """Write a duration as Prometheus does."""
    if not seconds:
        return "0s"
    text = ""
    for unit in ("w", "d", "h", "m", "s"):
        count, seconds = divmod(seconds, UNITS[unit])
        text += f"{count}{unit}" if count else ""
    return text


def _shown(state: State, rule: Rule, *, single: bool = False, stored: bool = True) -> Json:
    given = rule.given
    data: list[Json] = []
    for item in given["data"]:
        model = {"intervalMs": 1000, "maxDataPoints": 43200} if stored else {}
        times = {"relativeTimeRange": item.get("relativeTimeRange") or {"from": 0, "to": 0}}
        data.append({"queryType": "", **item, "model": {**model, **item["model"]}, **times})
    shown: Json = {
        "notification_settings": None,
        "record": None,
        "isPaused": False,
        "labels": {},
        "annotations": {},
        **{name: value for name, value in given.items() if name in KNOWN},
        "data": data,
        "folderUID": rule.folder,
        "ruleGroup": rule.group,
        "orgID": 1,
        "for": _duration(_seconds(given.get("for"))),
        "keep_firing_for": _duration(_seconds(given.get("keep_firing_for"))),
        "id": rule.result.get("id", 0) if stored else 0,
        "updated": rule.changed if stored else NO_TIME,
    }
    for name in ("labels", "annotations"):
        if not shown[name]:
            del shown[name]
    if single and rule.provenance:
        shown["provenance"] = rule.provenance
    return shown


def _refuse(state: State, given: Json, folder: str, *, insert: str = "") -> None:
    _seconds(given.get("for"))
    _seconds(given.get("keep_firing_for"))
    wrong = "invalid alert rule"
    if not given.get("data"):
        raise Refusal(400, f"{wrong}: no queries or expressions are found")
    if len(given.get("title", "")) > LONGEST_TITLE:
        raise Refusal(400, f"{wrong}: name length should not be greater than 190")
    if given.get("execErrState", "Alerting") not in ERROR_STATES:
        raise Refusal(400, f"{wrong}: unknown Error state option {given['execErrState']}")
    if given.get("noDataState", "NoData") not in NO_DATA_STATES:
        raise Refusal(400, f"{wrong}: unknown NoData state option {given['noDataState']}")
    uid = given.get("uid") or ""
    if not re.fullmatch(r"[A-Za-z0-9_-]*", uid):
        reason = "invalid format of UID. Only letters, numbers, '-' and '_' are allowed"
        raise Refusal(400, f"{wrong}\ncannot create rule with UID '{uid}': {reason}")
    if folder not in state.folders:
        raise Refusal(400, f"{wrong}: folder does not exist")
    for item in given["data"]:
        times = item.get("relativeTimeRange") or {"from": 0, "to": 0}
        if item["datasourceUid"] != "__expr__" and times["from"] <= times["to"]:
            ref = item["refId"]
            detail = f"invalid relative time range [From: {times['from']}s, To: {times['to']}s]"
            code = f"[alerting.alert-rule.invalidRelativeTime] Invalid alert rule query {ref}: {detail}"
            raise Refusal(400, f"{insert}{wrong}\ninvalid alert query {ref}: {code}")


def _provenance(asked: Asked) -> str:
    return "" if "x-disable-provenance" in asked.headers else "api"


def _refuse_file(rule: Rule, operation: str) -> None:
    if rule.provenance == "file":
        raise Refusal(
            409,
            f"cannot {operation} with provided provenance 'api', needs 'file'",
            messageId="alerting.provenanceMismatch",
            statusCode=409,
            extra={"Operation": operation, "ProvidedProvenance": "api", "StoredProvenance": "file"},
        )


# Single rules


def list_rules(state: State, asked: Asked) -> Answer:
    asked.needs("Viewer", READ)
    ordered = sorted(state.rules.values(), key=lambda rule: rule.result.get("id", 0))
    return Answer(200, [_shown(state, rule, single=True) for rule in ordered])


def get_rule(state: State, asked: Asked, uid: str) -> Answer:
    asked.needs("Viewer", READ)
    rule = state.rules.get(unquote(uid))
    return Answer(404) if rule is None else Answer(200, _shown(state, rule, single=True))


def create_rule(state: State, asked: Asked) -> Answer:
    asked.needs("Editor", f"{WRITE}, all of alert.rules:create, alert.provisioning.provenance:write")
    given = asked.body()
    folder = given.get("folderUID") or ""
    _refuse(state, given, folder)
    uid = given.get("uid") or new_uid()
    with state.lock:
        if uid in state.rules:
            reason = "constraint failed: UNIQUE constraint failed: alert_rule.org_id, alert_rule.uid (2067)"
            raise Refusal(
                409,
                f"Failed to save alert rule '{uid}' in organization 1 due to conflict: {reason}",
                messageId="alerting.alert-rule.conflict",
                statusCode=409,
                extra={"Error": reason, "OrgID": 1, "RuleUID": uid},
            )
        rule = Rule({**given, "uid": uid}, folder, given["ruleGroup"], _provenance(asked))
        rule.result["id"] = next(state.rule_ids)
        state.rules[uid] = rule
        state.intervals.setdefault((folder, rule.group), 60)
    return Answer(201, _shown(state, rule, single=True))


def update_rule(state: State, asked: Asked, uid: str) -> Answer:
    asked.needs("Editor", WRITE)
    given = asked.body()
    rule = state.rules.get(unquote(uid))
    if rule is None:
        return Answer(404)
    if rule.provenance == "file" or (rule.provenance == "api" and not _provenance(asked)):
        raise Refusal(500, "Internal Server Error")
    _refuse(state, given, given["folderUID"])
    rule.given, rule.folder, rule.group = {**given, "uid": rule.given["uid"]}, given["folderUID"], given["ruleGroup"]
    rule.provenance, rule.changed = _provenance(asked), now()
    return Answer(200, _shown(state, rule, single=True))


def delete_rule(state: State, asked: Asked, uid: str) -> Answer:
    asked.needs("Editor", WRITE)
    rule = state.rules.get(unquote(uid))
    if rule is not None:
        _refuse_file(rule, "delete")
        del state.rules[unquote(uid)]
    return Answer(204)


def export_rules(state: State, asked: Asked) -> Answer:
    folder = asked.one("folderUid")
    groups: list[Json] = []
    for where, name in _groups(state):
        if folder and where != folder:
            continue
        rules = [_exported(_shown(state, rule)) for rule in _members(state, where, name)]
        interval = _duration(state.intervals[where, name])
        title = state.folders[where].title
        groups.append({"orgId": 1, "name": name, "folder": title, "interval": interval, "rules": rules})
    return Answer(200, {"apiVersion": 1, "groups": groups})


def _exported(rule: Json) -> Json:
    kept = ("uid", "title", "condition", "for", "labels", "annotations", "isPaused", "noDataState", "execErrState")
    data = [{name: value for name, value in item.items() if name != "queryType"} for item in rule["data"]]
    held = {"keepFiringFor": rule["keep_firing_for"]} if rule["keep_firing_for"] != "0s" else {}
    return {**{name: rule[name] for name in kept if name in rule}, "data": data, **held}


# Groups


def _groups(state: State) -> list[tuple[str, str]]:
    found = {(rule.folder, rule.group) for rule in state.rules.values()}
    return sorted(found, key=lambda group: (state.folders[group[0]].title, group[1]))


def _members(state: State, folder: str, name: str) -> list[Rule]:
    found = [rule for rule in state.rules.values() if (rule.folder, rule.group) == (folder, name)]
    return sorted(found, key=_place)


def _place(rule: Rule) -> int:
    place: int = rule.result["place"] if "place" in rule.result else rule.result["id"]
    return place


def _no_group() -> Refusal:
    return Refusal(404, "NotFound", messageId="alerting.alert-rule.notFound", statusCode=404)


def get_group(state: State, asked: Asked, folder: str, name: str) -> Answer:
    asked.needs("Viewer", READ)
    folder, name = unquote(folder), unquote(name)
    members = _members(state, folder, name)
    if not members:
        raise _no_group()
    rules = [_shown(state, rule) for rule in members]
    interval = state.intervals[folder, name]
    return Answer(200, {"title": name, "folderUid": folder, "interval": interval, "rules": rules})


def put_group(state: State, asked: Asked, folder: str, name: str) -> Answer:
    asked.needs(
        "Editor",
        f"{WRITE}, all of alert.rules:read, folders:read, alert.provisioning.provenance:write, any of "
        f"alert.rules:write, alert.rules:create, alert.rules:delete",
    )
    body, folder, name = asked.body(), unquote(folder), unquote(name)
    given: list[Json] = body.get("rules") or []
    if folder not in state.folders:
        raise Refusal(400, "invalid alert rule: folder does not exist")
    if not body.get("interval") or body["interval"] % 10:
        reason = "should be non-zero and divided exactly by scheduler interval: 10"
        raise Refusal(400, f"invalid alert rule: interval ({body.get('interval', 0)}s) {reason}")
    for rule in given:
        _refuse(state, rule, folder, insert="failed to insert alert rules: ")
    state.happen_meanwhile()
    with state.lock:
        provenance = _provenance(asked)
        moved = [state.rules[rule["uid"]] for rule in given if rule.get("uid") in state.rules]
        for member in (*_members(state, folder, name), *moved):
            _refuse_file(member, "update")
        _write_group(state, given, folder, name, provenance=provenance)
        state.intervals[folder, name] = body["interval"]
    echoed = [_shown(state, Rule(rule, folder, name, provenance), stored=False) for rule in given]
    return Answer(200, {**body, "title": name, "rules": echoed if given else body.get("rules")})


def _write_group(state: State, given: list[Json], folder: str, name: str, *, provenance: str) -> None:
    if not given:
        return
    wanted = {rule.get("uid") for rule in given}
    for member in _members(state, folder, name):
        if member.given["uid"] not in wanted:
            del state.rules[member.given["uid"]]
    for place, rule in enumerate(given):
        uid = rule.get("uid") or new_uid()
        known = state.rules.get(uid)
        kept = copy.deepcopy({**rule, "uid": uid})
        if known is None:
            known = state.rules[uid] = Rule(kept, folder, name, provenance, result={"id": next(state.rule_ids)})
        elif known.given != kept or (known.folder, known.group) != (folder, name):
            known.given, known.folder, known.group, known.changed = kept, folder, name, now()
            known.evaluated = NO_TIME
        known.provenance = provenance
        known.result["place"] = place


def delete_group(state: State, asked: Asked, folder: str, name: str) -> Answer:
    asked.needs("Editor", WRITE)
    members = _members(state, unquote(folder), unquote(name))
    if not members:
        raise _no_group()
    for rule in members:
        _refuse_file(rule, "delete")
    for rule in members:
        del state.rules[rule.given["uid"]]
    return Answer(204)


# Evaluation


def evaluate(state: State, asked: Asked) -> Answer:
    asked.needs("Viewer", "datasources:query")
    data = asked.body()["data"]
    found, failed = run_all(state, data)
    for reason in failed.values():
        if reason.startswith("failed to build query"):
            # Not recorded; so in Grafana's source, pkg/services/ngalert/api/api_testing.go.
            raise Refusal(400, f"Failed to build evaluator for queries and expressions: {reason}")
    results: Json = {}
    for item in data:
        ref_id = item["refId"]
        if ref_id in failed:
            results[ref_id] = {"error": failed[ref_id], "errorSource": "", "frames": [], "status": 500}
        else:
            frames = [_frame(item, labels, value) for labels, value in found[ref_id]]
            results[ref_id] = {"status": 200, "frames": frames}
    return Answer(200, {"results": results})


def _frame(item: Json, labels: dict[str, str], value: float) -> Json:
    query = item["datasourceUid"] != "__expr__"
    field: Json = {"type": "number", "typeInfo": {"frame": "float64", "nullable": True}}
    if query:
        field |= {"name": "Value", "labels": labels, "config": {"displayNameFromDS": item["model"]["expr"]}}
    else:
        field |= {"name": item["refId"], **({"labels": labels} if labels else {})}
    meta = {"type": "numeric-multi", "typeVersion": [0, 1]}
    schema = {"refId": item["refId"], "meta": meta, "fields": [field]}
    return {"schema": schema, "data": {"values": [[value]]}}


def run_scheduler(state: State) -> None:
    """Evaluate each rule once, as Grafana's scheduler does at its next tick."""
    with state.lock:
        for rule in state.rules.values():
            if not rule.given.get("isPaused"):
                _evaluate_rule(state, rule)


def _evaluate_rule(state: State, rule: Rule) -> None:
    given = rule.given
    names = [item["refId"] for item in given["data"]]
    found, failed = run_all(state, given["data"])
    condition = given["condition"]
    error = ""
    if condition not in names:
        error = (
            f"[alerting.alert-rule.conditionNotExist] Condition {condition} does not exist, must be one of "
            f"[{' '.join(names)}]"
        )
    elif failed:
        error = failed[next(name for name in names if name in failed)]
    samples = found.get(condition, [])
    rule.evaluated = now()
    waits = _seconds(given.get("for")) > 0
    firing = any(value for _, value in samples)
    missing = not samples and not error and given.get("noDataState") == "NoData"
    rule.result |= {"error": error, "samples": samples, "found": found, "missing": missing}
    rule.result["failed"] = next((name for name in names if name in failed and "dataQueryError" in failed[name]), "")
    state_name = "inactive"
    if error and given.get("execErrState") == "OK":
        state_name = "inactive"
    elif error or firing or missing:
        state_name = "pending" if waits else "firing"
    rule.result["state"] = state_name


def live_state(state: State, asked: Asked) -> Answer:
    folder = asked.one("folder_uid")
    groups: list[Json] = []
    with state.lock:
        for where, name in _groups(state):
            if not folder or where == folder:
                groups.append(_live_group(state, where, name))
    totals = _totals(groups)
    return Answer(200, {"status": "success", "data": {"groups": groups, "totals": totals}})


def _totals(groups: list[Json]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for group in groups:
        for name, count in group["totals"].items():
            totals[name] = totals.get(name, 0) + count
    return totals


def _live_group(state: State, folder: str, name: str) -> Json:
    rules = [_live_rule(state, rule) for rule in _members(state, folder, name)]
    totals: dict[str, int] = {}
    for rule in rules:
        totals[rule["state"]] = totals.get(rule["state"], 0) + 1
        if rule["health"] == "error":
            totals["error"] = totals.get("error", 0) + 1
    evaluated = max((rule["lastEvaluation"] for rule in rules), default=NO_TIME)
    return {
        "name": name,
        "file": state.folders[folder].title,
        "folderUid": folder,
        "interval": state.intervals[folder, name],
        "lastEvaluation": evaluated,
        "evaluationTime": 0,
        "rules": rules,
        "totals": totals,
    }


def _live_rule(state: State, rule: Rule) -> Json:
    given, result = rule.given, rule.result
    queries = [item for item in given["data"] if item["datasourceUid"] != "__expr__"]
    ran = rule.evaluated != NO_TIME
    shown: Json = {
        "uid": given["uid"],
        "name": given["title"],
        "folderUid": rule.folder,
        "query": " | ".join(item["model"]["expr"] for item in queries),
        "queriedDatasourceUIDs": [item["datasourceUid"] for item in queries],
        "state": result["state"] if ran else "inactive",
        "health": "error" if ran and result["error"] else "ok",
        "type": "alerting",
        "lastEvaluation": rule.evaluated,
        "evaluationTime": 0,
        "isPaused": bool(given.get("isPaused")),
    }
    for name in ("labels", "annotations"):
        if given.get(name):
            shown[name] = given[name]
    if rule.provenance:
        shown["provenance"] = rule.provenance
    for name, key in (("for", "duration"), ("keep_firing_for", "keepFiringFor")):
        if _seconds(given.get(name)):
            shown[key] = _seconds(given.get(name))
    if ran and result["error"]:
        shown["lastError"] = result["error"]
    if ran and shown["state"] == "firing":
        shown["activeAt"] = rule.evaluated
    if ran:
        instances = _instances(state, rule)
        shown["alerts"] = instances
        counts: dict[str, int] = {}
        for instance in instances:
            kind = instance["state"].partition(" ")[0].lower()
            counts[kind] = counts.get(kind, 0) + 1
        shown |= {"totals": counts, "totalsFiltered": dict(counts)}
    return shown


def _instances(state: State, rule: Rule) -> list[Json]:
    given, result = rule.given, rule.result
    base = {"alertname": given["title"], "grafana_folder": state.folders[rule.folder].title, **given.get("labels", {})}
    word = "Pending" if result["state"] == "pending" else "Alerting"
    annotations = {name: _expanded(text, rule) for name, text in given.get("annotations", {}).items()}
    common = {"activeAt": rule.evaluated, "annotations": annotations}
    where = {
        "datasource_uid": given["data"][0]["datasourceUid"],
        "ref_id": result["failed"] or given["data"][0]["refId"],
    }
    if result["error"]:
        labels = {**base, **(where if result["failed"] else {})}
        told = {**common, "annotations": {**annotations, "Error": result["error"]}}
        return [{**told, "labels": labels, "state": f"{word} (Error)", "value": ""}]
    if result["missing"]:
        return [{**common, "labels": {**base, **where}, "state": f"{word} (NoData)", "value": ""}]
    return [
        {
            **common,
            "labels": _labelled({**base, **labels}, labels),
            "state": word if value else "Normal",
            "value": _value(rule, value),
        }
        for labels, value in result["samples"]
    ]


def _labelled(labels: dict[str, str], known: dict[str, str]) -> dict[str, str]:
    """Expand the labels of a series in the labels of its alert."""
    return {
        name: re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda match: known.get(match[1], "[no value]"), text)
        for name, text in labels.items()
    }


def _value(rule: Rule, value: float) -> str:
    return f"{_values(rule).get('C0', value):.0e}" if value else ""


def _values(rule: Rule) -> dict[str, float]:
    """Return what templates know as ``$values``."""
    found = rule.result["found"]
    condition = next((item for item in rule.given["data"] if item["refId"] == rule.given["condition"]), None)
    if condition is not None and condition["model"].get("type") == "classic_conditions":
        return {f"{condition['refId']}0": classic_value(condition["model"], found)}
    return {name: samples[0][1] for name, samples in found.items() if samples}


def _expanded(text: str, rule: Rule) -> str:
    """Expand the values in a template, which is all that is made of templates here."""
    failed = rule.result["error"] or rule.result["missing"]
    values = {} if failed else _values(rule)
    return re.sub(
        r"\{\{ \$values\.(\w+)\.Value \}\}",
        lambda match: f"{values[match[1]]:g}" if match[1] in values else "[no value]",
        text,
    )


def alerts(state: State, asked: Asked) -> Answer:
    ran = [rule for rule in state.rules.values() if rule.evaluated != NO_TIME]
    return Answer(
        200, {"status": "success", "data": {"alerts": [alert for rule in ran for alert in _instances(state, rule)]}}
    )


def alertmanager(state: State, asked: Asked) -> Answer:
    found: list[Json] = []
    for rule in state.rules.values():
        if rule.evaluated == NO_TIME or rule.result["state"] != "firing":
            continue
        for alert in _instances(state, rule):
            values = "".join(f'"{name}":{value:g},' for name, value in _values(rule).items())
            text = {"__orgId__": "1", "__value_string__": "", "__values__": "{" + values.rstrip(",") + "}"}
            found.append(
                {
                    "annotations": {**text, **alert["annotations"]},
                    "labels": {"__alert_rule_uid__": rule.given["uid"], **alert["labels"]},
                    "startsAt": rule.evaluated,
                    "endsAt": rule.evaluated,
                    "updatedAt": rule.evaluated,
                    "fingerprint": f"{abs(hash(rule.given['uid'])):016x}"[:16],
                    "generatorURL": f"http://localhost:3000/alerting/grafana/{rule.given['uid']}/view",
                    "receivers": [{"name": "empty"}],
                    "status": {"state": "active", "inhibitedBy": [], "silencedBy": []},
                }
            )
    return Answer(200, found)
