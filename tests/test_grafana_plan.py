"""What a plan finds out by comparing, and that what a real Grafana fills in is no difference."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from otel_monitoring.grafana.desired import Desired, DesiredDashboard
from otel_monitoring.grafana.differences import ABSENT, Difference, differences
from otel_monitoring.grafana.found import Folder, FoundDashboard, RuleGroup
from otel_monitoring.grafana.normal_form import duration_seconds, normal_dashboard, normal_rule
from otel_monitoring.grafana.ownership import signed_dashboard, signed_group
from otel_monitoring.grafana.plan import RENEWED, Action, Plan, Step, make_plan
from otel_monitoring.grafana.present import Present

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = Folder(uid="monitoring", title="Monitoring")
PANEL = {"id": 1, "title": "Errors", "type": "timeseries", "targets": [{"refId": "A", "expr": "up"}]}
MODEL: dict[str, Any] = {"title": "Jobs", "tags": ["jobs"], "panels": [PANEL], "schemaVersion": 39}
RULE: dict[str, Any] = {
    "uid": "jobs-stuck",
    "title": "JobsStuck",
    "condition": "A",
    "for": "5m",
    "annotations": {"summary": "Stuck."},
    "data": [{"refId": "A", "datasourceUid": "prometheus", "model": {"refId": "A", "expr": "up == 0"}}],
}


def desired(*dashboards: DesiredDashboard, groups: tuple[RuleGroup, ...] = ()) -> Desired:
    """Return what shall be."""
    return Desired(FOLDER, dashboards, groups)


def dashboard(**changes: object) -> DesiredDashboard:
    """Return a dashboard that shall be."""
    return DesiredDashboard("jobs", {**MODEL, **changes})


def group(*rules: dict[str, Any], title: str = "jobs", interval: int = 60) -> RuleGroup:
    """Return a group that shall be."""
    return rule_group(*(rules or (RULE,)), name=title, interval=interval)


def rule_group(
    *rules: Mapping[str, Any], name: str = "jobs", folder: str = FOLDER.uid, interval: int = 60
) -> RuleGroup:
    """Return a group."""
    return RuleGroup(folder_uid=folder, name=name, interval_seconds=interval, rules=rules)


def other(spec: dict[str, Any], uid: str = "jobs", folder: str = FOLDER.uid, **more: Any) -> FoundDashboard:
    """Return a dashboard that is there."""
    return FoundDashboard(uid=uid, folder_uid=folder, spec=spec, **more)


def found(
    *dashboards: FoundDashboard, groups: tuple[RuleGroup, ...] = (), from_files: frozenset[str] = frozenset()
) -> Present:
    """Return what is there."""
    return Present(FOLDER, {one.uid: one for one in dashboards}, groups, from_files)


def stored(one: DesiredDashboard, folder: str = FOLDER.uid, **changes: object) -> FoundDashboard:
    """Return a dashboard as we have written it, and as it was changed since."""
    return other({**signed_dashboard(one.spec, folder_uid=folder), **changes}, one.uid, folder)


def stored_group(one: RuleGroup, *added: dict[str, Any], **changes: object) -> RuleGroup:
    """Return a group as we have written it, and as its rules were changed since."""
    rules = [{**rule, **changes} for rule in signed_group(one).rules]
    return replace(one, rules=(*rules, *added))


def only(plan: Plan) -> Step:
    """Return the one step that is not about the folder."""
    (step,) = plan.steps[1:]
    return step


def test_what_is_missing_is_created_the_folder_first() -> None:
    """In an empty Grafana all is to be created, in the order in which it can be."""
    plan = make_plan(desired(dashboard(), groups=(group(),)), Present())
    assert [(step.kind, step.uid, step.action) for step in plan.steps] == [
        ("folder", "monitoring", "create"),
        ("dashboard", "jobs", "create"),
        ("rule group", "jobs", "create"),
    ]


def test_what_is_as_it_shall_be_is_left_alone() -> None:
    """Where nothing differs there is nothing to do."""
    plan = make_plan(
        desired(dashboard(), groups=(group(),)), found(stored(dashboard()), groups=(stored_group(group()),))
    )
    assert {step.action for step in plan.steps} == {Action.UNCHANGED}
    assert plan.changes == plan.refused == ()


def test_what_the_code_changed_is_shown_field_by_field() -> None:
    """A dashboard that is as we left it is changed, and the plan says what of it."""
    renamed = dashboard(title="Jobs today", panels=[{**PANEL, "targets": [{"refId": "A", "expr": "up == 1"}]}])
    step = only(make_plan(desired(renamed), found(stored(dashboard()))))
    assert step.action is Action.CHANGE
    assert [str(one) for one in step.differences] == [
        '~ title: "Jobs" → "Jobs today"',
        '~ panels[Errors].targets[A].expr: "up" → "up == 1"',
    ]


@pytest.mark.parametrize("there", ["model", "folder"])
def test_what_somebody_changed_since_is_refused_and_shown(there: str) -> None:
    """A dashboard changed or moved in Grafana is not replaced without being told to."""
    changed = stored(dashboard(), title="Mine") if there == "model" else stored(dashboard())
    if there == "folder":
        changed = replace(changed, folder_uid="elsewhere")
    step = only(make_plan(desired(dashboard()), found(changed)))
    assert step.action is Action.REFUSED
    assert "--overwrite" in step.reason
    assert [one.path for one in step.differences] == [{"model": "title", "folder": "folder"}[there]]
    overwritten = only(make_plan(desired(dashboard()), found(changed), overwrite=True))
    assert (overwritten.action, overwritten.differences) == (Action.CHANGE, step.differences)


def test_a_change_that_the_code_took_over_renews_the_mark() -> None:
    """What was changed in Grafana and then in the code alike is no conflict: the digest is written anew."""
    step = only(make_plan(desired(dashboard(title="Both")), found(stored(dashboard(), title="Both"))))
    assert (step.action, step.reason, step.differences) == (Action.CHANGE, RENEWED, ())


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        (other(MODEL), "add the tag"),
        (other({"tags": ["otel-monitoring"]}, provisioned="file"), "managed by file"),
    ],
    ids=["without our tag", "from a file"],
)
def test_a_dashboard_of_others_is_never_replaced(theirs: FoundDashboard, said: str) -> None:
    """Not even with overwriting: it is not ours."""
    step = only(make_plan(desired(dashboard()), found(theirs), overwrite=True))
    assert step.action is Action.REFUSED
    assert said in step.reason


def test_a_dashboard_kept_in_a_newer_form_is_never_replaced() -> None:
    """A write in the older form would lose what only the newer one can hold."""
    newer = replace(stored(dashboard()), stored_schema="v2beta1")
    step = only(make_plan(desired(dashboard(title="New")), found(newer), overwrite=True))
    assert step.action is Action.REFUSED


def test_what_is_no_longer_wanted_is_left_unless_pruning() -> None:
    """Pruning removes what is ours in the folder: no more than that."""
    ours, theirs = stored(dashboard()), other({"title": "Other", "tags": ["otel-monitoring"]}, "other")
    moved = replace(ours, uid="moved", folder_uid="elsewhere")
    there = found(ours, theirs, moved, groups=(stored_group(group()), rule_group({"uid": "x"}, name="theirs")))
    left = make_plan(desired(), there)
    assert [(step.uid, step.action) for step in left.steps[1:]] == [("jobs", Action.LEFT), ("jobs", Action.LEFT)]
    assert left.changes == ()
    pruned = make_plan(desired(), there, prune=True)
    assert [(step.kind, step.uid, step.action) for step in pruned.steps[1:]] == [
        ("dashboard", "jobs", "prune"),
        ("rule group", "jobs", "prune"),
    ]


def test_what_somebody_changed_is_not_pruned() -> None:
    """A change made in Grafana keeps a dashboard and a group, until told otherwise."""
    there = found(stored(dashboard(), title="Mine"), groups=(stored_group(group(), title="Mine"),))
    refused = make_plan(desired(), there, prune=True)
    assert [step.action for step in refused.steps[1:]] == [Action.REFUSED] * 2
    assert [step.action for step in make_plan(desired(), there, prune=True, overwrite=True).steps[1:]] == [
        Action.PRUNE
    ] * 2


def test_a_rule_that_the_code_changed_is_shown_by_its_uid() -> None:
    """The difference names the rule and the field."""
    slower = {**RULE, "for": "10m"}
    step = only(make_plan(desired(groups=(group(slower),)), found(groups=(stored_group(group()),))))
    assert step.action is Action.CHANGE
    assert step.differences == (Difference("rules.jobs-stuck.for", 300.0, 600.0),)


@pytest.mark.parametrize("change", [{"isPaused": True}, {"title": "Quiet"}, {"labels": {"severity": "info"}}], ids=min)
def test_a_rule_that_somebody_changed_since_is_refused(change: dict[str, Any]) -> None:
    """A rule paused or edited in Grafana is not replaced without being told to."""
    there = found(groups=(stored_group(group(), **change),))
    step = only(make_plan(desired(groups=(group(),)), there))
    assert step.action is Action.REFUSED
    assert step.differences
    assert only(make_plan(desired(groups=(group(),)), there, overwrite=True)).action is Action.CHANGE


def test_an_interval_that_somebody_changed_since_is_refused() -> None:
    """How often a group is evaluated is part of what we wrote."""
    written = stored_group(group())
    slower = replace(written, interval_seconds=120)
    step = only(make_plan(desired(groups=(group(),)), found(groups=(slower,))))
    assert (step.action, step.differences) == (Action.REFUSED, (Difference("interval", 120, 60),))


def test_a_rule_that_somebody_added_is_no_difference() -> None:
    """Other people's rules in a group of ours are kept, and nobody is bothered with them."""
    there = stored_group(group(), {"uid": "own", "title": "Own"})
    assert only(make_plan(desired(groups=(group(),)), found(groups=(there,)))).action is Action.UNCHANGED


@pytest.mark.parametrize("name", ["jobs", "other"], ids=["in its group", "in another"])
def test_a_rule_that_lost_its_mark_counts_as_changed_since(name: str) -> None:
    """Somebody took the annotation away, or made a rule of this uid in the folder: not replaced unless told."""
    there = found(groups=(rule_group({**RULE, "title": "Mine"}, name=name),))
    shown = desired(groups=(group(),))
    assert only(make_plan(shown, there)).action is Action.REFUSED
    assert only(make_plan(shown, there, overwrite=True)).action is Action.CHANGE


def test_rules_are_put_beside_those_of_others_in_a_group_of_the_same_interval() -> None:
    """Such as those that the service made one by one: they stay when the group is written."""
    there = rule_group({"uid": "other", "title": "Other"})
    step = only(make_plan(desired(groups=(group(),)), found(groups=(there,))))
    assert step.action is Action.CHANGE
    assert [one.path for one in step.differences] == ["rules.jobs-stuck"]


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (rule_group({"uid": "other"}, interval=120), "evaluated every 120 s"),
        (rule_group(RULE, name="other", folder="elsewhere"), "is in the group 'other'"),
        (rule_group({"uid": "from-file"}), "provisioned from a file"),
    ],
    ids=["name", "uid elsewhere", "file"],
)
def test_a_group_of_others_is_never_replaced(there: RuleGroup, said: str) -> None:
    """Neither by its name nor by the uids of its rules, not even with overwriting."""
    step = only(
        make_plan(
            desired(groups=(group(),)), found(groups=(there,), from_files=frozenset({"from-file"})), overwrite=True
        )
    )
    assert step.action is Action.REFUSED
    assert said in step.reason


def test_a_rule_that_the_code_moves_to_another_group_is_a_change() -> None:
    """It is moved by the write, and the group that it leaves is not reported as left over."""
    there = found(groups=(stored_group(group()),))
    step = only(make_plan(desired(groups=(group(title="flow"),)), there))
    assert step.action is Action.CHANGE
    assert Difference("rules.jobs-stuck.group", "jobs", "flow") in step.differences


def test_a_rule_that_somebody_moved_is_refused() -> None:
    """A rule found in a group where we did not put it was put there by somebody."""
    (rule,) = stored_group(group()).rules
    there = found(groups=(rule_group(rule, name="theirs", folder="elsewhere"),))
    assert only(make_plan(desired(groups=(group(),)), there)).action is Action.REFUSED


# what Grafana 12.4 was seen to fill in


def test_what_the_resource_api_fills_in_is_no_difference() -> None:
    """A dashboard read back from Grafana 12.4 is the one that was sent."""
    sent = {
        "panels": [{"gridPos": {"h": 8, "w": 12, "x": 0, "y": 0}, **PANEL}, {"id": 0, "title": "Row", "type": "row"}],
        "refresh": "30s",
        "schemaVersion": 39,
        "templating": {"list": [{"name": "job", "type": "query", "query": "label_values(up, job)"}]},
        "time": {"from": "now-1h", "to": "now"},
        "title": "K2",
        "uid": "otel-k2",
    }
    built_in = {
        "builtIn": 1,
        "datasource": {"type": "grafana", "uid": "-- Grafana --"},
        "enable": True,
        "hide": True,
        "iconColor": "rgba(0, 211, 255, 1)",
        "name": "Annotations & Alerts",
        "type": "dashboard",
    }
    read = {
        "annotations": {"list": [built_in]},
        "editable": True,
        "fiscalYearStartMonth": 0,
        "graphTooltip": 0,
        "links": [],
        "panels": [{"gridPos": {"h": 8, "w": 12, "x": 0, "y": 0}, **PANEL}, {"id": 7, "title": "Row", "type": "row"}],
        "refresh": "30s",
        "schemaVersion": 42,
        "templating": {
            "list": [
                {
                    "name": "job",
                    "type": "query",
                    "query": "label_values(up, job)",
                    "options": [],
                    "current": {"text": "a"},
                }
            ]
        },
        "time": {"from": "now-1h", "to": "now"},
        "timepicker": {},
        "timezone": "",
        "title": "K2",
        "weekStart": "",
    }
    assert differences(normal_dashboard(read), normal_dashboard(sent)) == ()


def test_what_the_provisioning_api_fills_in_is_no_difference() -> None:
    """A rule read back from Grafana 12.4 is the one that was sent; durations may be written otherwise."""
    sent = {**RULE, "for": "300s", "execErrState": "OK", "noDataState": "OK"}
    read = {
        **sent,
        "id": 2,
        "for": "5m",
        "keep_firing_for": "0s",
        "isPaused": False,
        "notification_settings": None,
        "record": None,
        "folderUID": "monitoring",
        "ruleGroup": "jobs",
        "orgID": 1,
        "updated": "2026-11-23T23:10:12Z",
        "data": [
            {
                "refId": "A",
                "datasourceUid": "prometheus",
                "queryType": "",
                "relativeTimeRange": {"from": 0, "to": 0},
                "model": {"refId": "A", "expr": "up == 0", "intervalMs": 1000, "maxDataPoints": 43200},
            }
        ],
    }
    assert differences(normal_rule(read), normal_rule(sent)) == ()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("5m", 300), ("300s", 300), ("1h30m", 5400), ("1d", 86_400), ("0s", 0), ("500ms", 0.5), ("soon", "soon")],
    ids=str,
)
def test_durations_are_compared_as_seconds(text: str, seconds: float | str) -> None:
    """However a duration is written, it is the same duration."""
    assert duration_seconds(text) == seconds


# differences


def test_members_of_lists_are_told_apart_by_their_names() -> None:
    """A member put before others is one new member, not a change of all."""
    before = {"panels": [{"title": "A", "unit": "s"}, {"title": "B"}]}
    after = {"panels": [{"title": "New"}, {"title": "A", "unit": "ms"}, {"title": "B"}]}
    assert [str(one) for one in differences(before, after)] == [
        '~ panels[A].unit: "s" → "ms"',
        "+ panels[New]: {New, …}",
    ]


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ({"a": [1, 2]}, {"a": [1, 3, 4]}, ["~ a[1]: 2 → 3", "+ a[2]: 4"]),
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": None}, {}, ["- a: null"]),
        (
            {"l": [{"name": "x"}, {"name": "y"}]},
            {"l": [{"name": "y"}, {"name": "x"}]},
            ['~ l (order): ["x", "y"] → ["y", "x"]'],
        ),
    ],
    ids=["positions", "equal numbers", "null", "order"],
)
def test_each_field_that_differs_is_one_line(before: Any, after: Any, shown: list[str]) -> None:
    """New, gone and changed are told apart."""
    assert [str(one) for one in differences(before, after)] == shown


def test_a_long_value_is_cut() -> None:
    """A line stays a line."""
    (one,) = differences({}, {"expr": "x" * 5000})
    assert one.before is ABSENT
    assert len(str(one)) < 200


SHIPPED = DesiredDashboard("otel-monitoring-overview", MODEL)


def test_what_was_written_for_another_service_is_not_taken_from_it() -> None:
    """A dashboard that apply wrote in another folder stays there, unless it is asked to overwrite."""
    there = found(stored(dashboard(), folder="theirs"))
    step = only(make_plan(desired(dashboard()), there))
    assert step.action is Action.REFUSED
    assert "'theirs'" in step.reason
    assert "another uid" in step.reason
    assert only(make_plan(desired(dashboard()), there, overwrite=True)).action is Action.CHANGE


def test_a_dashboard_of_the_package_is_shared() -> None:
    """One that shows the jobs of all services is left where another service has it; that stops nothing."""
    there = found(stored(SHIPPED, folder="theirs"))
    plan = make_plan(desired(SHIPPED), there)
    assert only(plan).action is Action.SHARED
    assert plan.changes == plan.refused == ()
    assert only(make_plan(desired(SHIPPED), there, overwrite=True)).action is Action.CHANGE


@pytest.mark.parametrize("job", ["shop", "", "crawler"], ids=["same", "unsaid", "another"])
def test_rules_of_another_job_are_not_replaced(job: str) -> None:
    """Two services that share a folder would take each other's alerts away; the second is told so."""
    written = signed_group(group(), job=job)
    changed = replace(desired(groups=(group({**RULE, "for": "9m"}),)), job="shop")
    step = only(make_plan(changed, found(groups=(written,))))
    refused = job == "crawler"
    assert step.action is (Action.REFUSED if refused else Action.CHANGE)
    assert ("'crawler'" in step.reason) is refused
    assert only(make_plan(changed, found(groups=(written,)), overwrite=True)).action is Action.CHANGE


@pytest.mark.parametrize(
    ("after", "shown"),
    [
        (f"{'a + ' * 50}x > 0.05{' + b' * 50}", '~ expr: "… a + a + a + x > 0.01 + b + b + b + b + b…" → '),
        ("up", '~ expr: "'),
        (f"{'a + ' * 50}x > 0.01{' + b' * 51}", '~ expr: "… + b + b + b + b + b" → "… + b + b + b + b + b + b"'),
    ],
    ids=["middle", "all", "end"],
)
def test_of_long_texts_what_differs_is_shown(after: str, shown: str) -> None:
    """A query of many lines is not shown twice for one number in it."""
    (one,) = differences({"expr": f"{'a + ' * 50}x > 0.01{' + b' * 50}"}, {"expr": after})
    assert str(one).startswith(shown)
    assert (one.before, one.after) == (f"{'a + ' * 50}x > 0.01{' + b' * 50}", after)
