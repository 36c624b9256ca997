"""Alert rules on a Grafana: groups, single rules, trying queries, live state."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from otel_monitoring.grafana.failures import QueryFailedError, RefusedError, VersionConflictError
from otel_monitoring.grafana.found import LiveRule, RuleGroup
from otel_monitoring.grafana.shapes import Json, as_json, listing, mapping, part, quoted, text, whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_monitoring.grafana.transport import Transport

NEVER_EVALUATED = "0001-01-01T00:00:00Z"
SCHEDULER_SECONDS = 10
_NO_PROVENANCE = {"X-Disable-Provenance": "true"}


class WithRules:
    """The part of the client that manages alert rules."""

    _transport: Transport

    async def rules(self) -> list[Json]:
        """Return all alert rules, as Grafana's provisioning API has them."""
        what = "listing alert rules"
        found = await self._transport.call(
            lambda api: api.alertingprovisioning.get_alertrules_all(), what, repeatable=True
        )
        return listing(found, what)

    async def rule(self, uid: str) -> Json:
        """Return one alert rule.

        Raises:
            NotFoundError: there is none of this uid.
        """
        what = f"reading alert rule {uid!r}"
        found = await self._transport.call(
            lambda api: api.alertingprovisioning.get_alertrule(quoted(uid)), what, repeatable=True
        )
        return mapping(found, what)

    async def create_rule(self, rule: Mapping[str, object], *, editable: bool = True) -> str:
        """Make an alert rule and return its uid.

        Args:
            rule: as Grafana's provisioning API has it.
            editable: whether it may be changed in the UI.

        Raises:
            VersionConflictError: there is a rule of this uid.
            FolderMissingError: its ``folderUID`` does not exist.
            RefusedError: Grafana finds something wrong; it does not look at the queries.
        """
        what = f"making alert rule {text(rule, 'title')!r}"
        body = as_json(dict(rule), what)
        try:
            made = await self._transport.call(
                lambda api: api.alertingprovisioning.create_alertrule(body, editable), what, repeatable=False
            )
        except VersionConflictError:
            made = None
        if made is None:
            raise VersionConflictError(f"{what}: there is a rule {text(rule, 'uid')!r} already. Use another uid")
        return text(mapping(made, what), "uid")

    async def set_interval(self, folder_uid: str, name: str, interval_seconds: int, *, editable: bool = True) -> None:
        """Set the time between two evaluations of a group, and leave its rules as they are."""
        # Without rules the request changes the interval alone.
        body = {"title": name, "folderUid": folder_uid, "interval": interval_seconds, "rules": None}
        await self._transport.call(
            lambda api: api.alertingprovisioning.update_rule_group(quoted(folder_uid), quoted(name), body, editable),
            f"setting the interval of rule group {name!r}",
            repeatable=True,
        )

    async def delete_rule(self, uid: str, *, editable: bool = True) -> None:
        """Delete an alert rule; one that is gone is deleted."""
        await self._transport.call(
            lambda api: api.client.DELETE(
                f"/v1/provisioning/alert-rules/{quoted(uid)}", headers=_NO_PROVENANCE if editable else {}
            ),
            f"deleting alert rule {uid!r}",
            repeatable=True,
        )

    async def rule_groups(self, folder_uid: str) -> list[RuleGroup]:
        """Return the groups of a folder, by name."""
        names = {text(rule, "ruleGroup") for rule in await self.rules() if text(rule, "folderUID") == folder_uid}
        return [await self.read_rule_group(folder_uid, name) for name in sorted(names)]

    async def read_rule_group(self, folder_uid: str, name: str) -> RuleGroup:
        """Return one group.

        Raises:
            NotFoundError: there is none.
        """
        what = f"reading rule group {name!r}"
        found = await self._transport.call(
            lambda api: api.alertingprovisioning.get_rule_group(quoted(folder_uid), quoted(name)), what, repeatable=True
        )
        group = mapping(found, what)
        rules = tuple(listing(group.get("rules") or [], what))
        return RuleGroup(folder_uid=folder_uid, name=name, interval_seconds=whole(group, "interval"), rules=rules)

    async def put_rule_group(self, group: RuleGroup, *, editable: bool = True) -> RuleGroup:
        """Write a group, and return it as it is on the server afterwards.

        Rules of the group that are not in it are deleted, and rules that live in other groups move here.

        Args:
            group: what there shall be.
            editable: whether its rules may be changed in the UI.

        Raises:
            FolderMissingError: there is no such folder.
            ProvisionedError: the group comes from a file.
            RefusedError: Grafana finds something wrong; it does not look at the queries.
        """
        if not group.rules:
            raise RefusedError(
                f"writing rule group {group.name!r}: it holds no rules, and Grafana would keep those it has. "
                f"Delete the group instead"
            )
        if group.interval_seconds <= 0 or group.interval_seconds % SCHEDULER_SECONDS:
            raise RefusedError(
                f"writing rule group {group.name!r}: its interval of {group.interval_seconds} s is no multiple of "
                f"{SCHEDULER_SECONDS} s, which Grafana's scheduler needs"
            )
        what = f"writing rule group {group.name!r}"
        written = {
            "title": group.name,
            "folderUid": group.folder_uid,
            "interval": group.interval_seconds,
            "rules": [{**rule, "folderUID": group.folder_uid, "ruleGroup": group.name} for rule in group.rules],
        }
        body = as_json(written, what)
        await self._transport.call(
            lambda api: api.alertingprovisioning.update_rule_group(
                quoted(group.folder_uid), quoted(group.name), body, editable
            ),
            what,
            repeatable=True,
        )
        return await self.read_rule_group(group.folder_uid, group.name)

    async def delete_rule_group(self, folder_uid: str, name: str, *, editable: bool = True) -> None:
        """Delete a group with its rules.

        Raises:
            NotFoundError: there is none.
            ProvisionedError: it comes from a file.
        """
        await self._transport.call(
            lambda api: api.client.DELETE(
                f"/v1/provisioning/folder/{quoted(folder_uid)}/rule-groups/{quoted(name)}",
                headers=_NO_PROVENANCE if editable else {},
            ),
            f"deleting rule group {name!r}",
            repeatable=False,
        )

    async def evaluate(self, data: Sequence[Mapping[str, object]]) -> dict[str, str]:
        """Run the queries and expressions of a rule, without saving any, and return what failed by refId."""
        what = "trying the queries of an alert rule"
        body = as_json({"data": [dict(item) for item in data]}, what)
        found = await self._transport.call(lambda api: api.client.POST("/v1/eval", json=body), what, repeatable=True)
        results = part(mapping(found, what), "results")
        return {ref_id: reason for ref_id in results if (reason := text(part(results, ref_id), "error"))}

    async def try_rule(self, rule: Mapping[str, object]) -> None:
        """Run a rule's queries, since Grafana accepts rules that can never work.

        Raises:
            QueryFailedError: one does not run, or the condition names none of them.
        """
        title, data = text(rule, "title"), _nodes(rule)
        names = [text(item, "refId") for item in data]
        condition = text(rule, "condition")
        if condition not in names:
            raise QueryFailedError(
                f"alert rule {title!r}: its condition {condition!r} is none of its refIds {', '.join(names)}",
                {condition: "there is no such refId"},
            )
        try:
            reasons = await self.evaluate(data)
        except RefusedError as refused:
            # So Grafana answers where it cannot even build the queries, as of an unknown datasource.
            reasons = {condition: str(refused)}
        if reasons:
            listed = "; ".join(f"{ref_id}: {reason}" for ref_id, reason in sorted(reasons.items()))
            raise QueryFailedError(f"alert rule {title!r} would never work, its queries fail: {listed}", reasons)

    async def live_rules(self, folder_uid: str) -> list[LiveRule]:
        """Return the state of each rule of a folder, as Grafana's scheduler has it."""
        what = "reading the state of alert rules"
        found = await self._transport.call(
            lambda api: api.client.GET("/prometheus/grafana/api/v1/rules", params={"folder_uid": folder_uid}),
            what,
            repeatable=True,
        )
        groups = listing(part(mapping(found, what), "data").get("groups") or [], what)
        return [
            _live(rule, text(group, "name")) for group in groups for rule in listing(group.get("rules") or [], what)
        ]


def _nodes(rule: Mapping[str, object]) -> list[Json]:
    data = rule.get("data")
    nodes = cast("list[object]", list(data)) if isinstance(data, list | tuple) else []
    if not nodes or not all(isinstance(node, dict) for node in nodes):
        raise RefusedError(
            f"alert rule {text(rule, 'title')!r}: its data are {data!r}, where a list of queries is right"
        )
    return cast("list[Json]", nodes)


def _live(rule: Json, group: str) -> LiveRule:
    evaluated = text(rule, "lastEvaluation")
    return LiveRule(
        uid=text(rule, "uid"),
        title=text(rule, "name"),
        group=group,
        state=text(rule, "state"),
        health=text(rule, "health") or "unknown",
        last_error=text(rule, "lastError"),
        last_evaluation="" if evaluated == NEVER_EVALUATED else evaluated,
        provenance=text(rule, "provenance"),
        is_paused=rule.get("isPaused") is True,
    )
