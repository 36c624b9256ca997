"""The files of ``otel-monitoring grafana render``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_monitoring.cli.rendered_folder import LIST_NAME, list_text, read_made
from otel_monitoring.grafana.dashboard import uid_of
from otel_monitoring.grafana.found import Folder
from otel_monitoring.grafana.provisioning import rule_uids
from otel_monitoring.grafana.render import rendered_files
from otel_monitoring.grafana.stack import LOCAL_GRAFANA

if TYPE_CHECKING:
    from pathlib import Path

    from otel_monitoring.cli.grafana_content import Subject
    from otel_monitoring.grafana.stack import Stack


def rendered(subject: Subject, stack: Stack, folder: Path) -> dict[str, str]:
    """Return the text of each file by its path, the list of them among them.

    Args:
        subject: what the code says.
        stack: what the programs are told.
        folder: where they shall be; what was made there before says which rules a Grafana may still hold.
    """
    title = subject.settings.grafana_folder
    shown_in = Folder(uid=uid_of(title), title=title)
    desired = subject.content.desired(shown_in, datasource_uid=stack.datasource_uid, pulled=subject.pulled)
    rules = rule_uids(desired.groups)
    removed = read_made(folder).removed_by(rules)
    grafana_url = subject.connection.shown if subject.settings.grafana_url else LOCAL_GRAFANA
    files = rendered_files(desired, subject.content.rule_file(grafana_url=grafana_url), stack, removed_rules=removed)
    return {**files, LIST_NAME: list_text(files, rules=rules, removed_rules=removed)}
