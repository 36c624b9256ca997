"""Dashboards, rules and all that starts with them, as files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_monitoring.grafana.content import NOTE
from otel_monitoring.grafana.ownership import OWNER_TAG, unsigned_tags
from otel_monitoring.grafana.provisioning import alerting_file, dashboard_provider, datasource_file
from otel_monitoring.grafana.pulled import json_text
from otel_monitoring.grafana.routing import alertmanager_config
from otel_monitoring.grafana.stack import Stack, collector_config, compose_file, prometheus_config
from otel_monitoring.grafana.yaml_text import yaml_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_monitoring.grafana.desired import Desired, DesiredDashboard

COMPOSE_NOTE = f"""{NOTE}

  docker compose up --detach --build --wait    then http://127.0.0.1:3000, user admin, password admin

Everything listens on this machine alone. GRAFANA_ADMIN_PASSWORD sets another password before the first start;
GRAFANA_PORT, PROMETHEUS_PORT and ALERTMANAGER_PORT set other ports."""
RULE_NOTE = f"""{NOTE}

For a Grafana that evaluates alerts itself; `prometheus/rules` holds the same ones for Prometheus and Alertmanager.
Use one of both."""

README = """# Grafana, Prometheus and Alertmanager, ready to start

{note}

```
docker compose up --detach --build --wait
```

starts them with {started}: Grafana at <http://127.0.0.1:3000> (user `admin`, password `admin` or what
`GRAFANA_ADMIN_PASSWORD` says at the first start), Prometheus at <http://127.0.0.1:9090>, Alertmanager at
<http://127.0.0.1:9093>, OTLP at ports 4317 and 4318. All of it listens on this machine alone.
`docker compose down --volumes` removes it with its data.

| Here | What it is |
| --- | --- |
| `compose.yaml` | What starts, by Docker Compose 2.17 or newer |
| `dashboards/` | Dashboards as JSON, to import or to provision |
| `prometheus/rules/` | Recording and alerting rules for Prometheus |
| `prometheus/prometheus.yml` | What Prometheus scrapes, and whom it tells |
| `provisioning/` | Files from which Grafana provisions itself: data sources, dashboards, alert rules |
| `alertmanager/` | Who is told of what fires |
| `collector/` | The OpenTelemetry Collector: OTLP in, Prometheus out |

The rules are here twice, from one definition: for Prometheus with Alertmanager, and for Grafana's own alerting
(`provisioning/alerting/`). With both, everything is told twice: leave one of them out where you install them.
"""


def rendered_files(
    desired: Desired, rule_file: str, stack: Stack, *, removed_rules: Iterable[str] = ()
) -> dict[str, str]:
    """Return the text of each file, by its path; the same each time.

    Args:
        desired: the dashboards and the rules for Grafana's own alerting.
        rule_file: the rules for Prometheus.
        stack: what the programs are told.
        removed_rules: uids of rules that a Grafana may hold from files made before.
    """
    datasources = datasource_file(
        stack.datasource_uid, prometheus_url="http://prometheus:9090", alertmanager_url="http://alertmanager:9093"
    )
    rules = alerting_file(desired.groups, desired.folder, removed=removed_rules)
    started = "what is scraped already" if stack.targets else "an example system under its own traffic"
    return {
        **{f"dashboards/{one.uid}.json": json_text(_tagged(one)) for one in desired.dashboards},
        "prometheus/prometheus.yml": yaml_text(prometheus_config(stack), heading=NOTE),
        "prometheus/rules/otel-monitoring.yml": rule_file,
        "alertmanager/alertmanager.yml": yaml_text(alertmanager_config(stack.webhook), heading=NOTE),
        "collector/config.yaml": yaml_text(collector_config(), heading=NOTE),
        "provisioning/datasources/otel-monitoring.yaml": yaml_text(datasources, heading=NOTE),
        "provisioning/dashboards/otel-monitoring.yaml": yaml_text(
            dashboard_provider(desired.folder, "/etc/grafana/dashboards"), heading=NOTE
        ),
        "provisioning/alerting/otel-monitoring.yaml": yaml_text(rules, heading=RULE_NOTE),
        "compose.yaml": yaml_text(compose_file(stack), heading=COMPOSE_NOTE),
        "README.md": README.format(note=NOTE, started=started),
    }


def _tagged(dashboard: DesiredDashboard) -> dict[str, object]:
    return {**dashboard.spec, "uid": dashboard.uid, "tags": [*unsigned_tags(dashboard.spec), OWNER_TAG]}
