"""A Prometheus, a Grafana, an Alertmanager and a Collector that start together, and what they read."""

from __future__ import annotations

from dataclasses import dataclass

GRAFANA_IMAGE = "grafana/grafana:12.4.0"
PROMETHEUS_IMAGE = "prom/prometheus:v3.5.0"
ALERTMANAGER_IMAGE = "prom/alertmanager:v0.28.1"
COLLECTOR_IMAGE = "otel/opentelemetry-collector-contrib:0.130.0"
PYTHON_IMAGE = "python:3.13-slim"

EXAMPLE_PORT = 8000
COLLECTED_PORT = 8889
"""Where the Collector shows what it was sent."""

HOST = "host.docker.internal"
"""The machine on which the containers run, as they call it."""

_PROBE = {"interval": "5s", "timeout": "3s", "retries": 20}


@dataclass(frozen=True, slots=True)
class Stack:
    """What the programs are told.

    Attributes:
        job: the name under which Prometheus scrapes the service.
        targets: hosts and ports of the service; without any, the example system is started and scraped.
        source: a clone of this project, relative to the folder, to make the example of; else the released package.
        datasource_uid: of the Prometheus, in Grafana.
        webhook: an address that Alertmanager posts all alerts to.
    """

    job: str
    targets: tuple[str, ...] = ()
    source: str | None = None
    datasource_uid: str = "prometheus"
    webhook: str | None = None


def compose_file(stack: Stack) -> dict[str, object]:
    """Return ``compose.yaml``; it needs Docker Compose 2.17."""
    services = {
        **({} if stack.targets else {"example": _example(stack)}),
        "collector": _collector(),
        "alertmanager": _alertmanager(),
        "prometheus": _prometheus(stack),
        "grafana": _grafana(),
    }
    return {
        "name": "otel-monitoring",
        "services": services,
        "volumes": {"prometheus": {}, "alertmanager": {}, "grafana": {}},
    }


def prometheus_config(stack: Stack) -> dict[str, object]:
    """Return ``prometheus.yml``."""
    targets = [_as_seen_inside(target) for target in stack.targets] or [f"example:{EXAMPLE_PORT}"]
    return {
        "global": {"scrape_interval": "15s", "evaluation_interval": "15s"},
        "rule_files": ["rules/*.yml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": ["alertmanager:9093"]}]}]},
        "scrape_configs": [
            {"job_name": stack.job, "static_configs": [{"targets": targets}]},
            {
                "job_name": "otlp",
                "honor_labels": True,  # job and instance are those of who sent it
                "static_configs": [{"targets": [f"collector:{COLLECTED_PORT}"]}],
            },
            {"job_name": "prometheus", "static_configs": [{"targets": ["localhost:9090"]}]},
            {"job_name": "alertmanager", "static_configs": [{"targets": ["alertmanager:9093"]}]},
        ],
    }


def collector_config() -> dict[str, object]:
    """Return the configuration of the OpenTelemetry Collector: OTLP in, metrics for Prometheus out."""
    return {
        "receivers": {
            "otlp": {"protocols": {"grpc": {"endpoint": "0.0.0.0:4317"}, "http": {"endpoint": "0.0.0.0:4318"}}}
        },
        "processors": {
            "memory_limiter": {"check_interval": "1s", "limit_mib": 256, "spike_limit_mib": 64},
            "batch": {},
        },
        "exporters": {
            "prometheus": {
                "endpoint": f"0.0.0.0:{COLLECTED_PORT}",
                "enable_open_metrics": True,  # exemplars come with it only
            },
            "debug": {"verbosity": "basic"},
        },
        "service": {
            "pipelines": {
                "metrics": _pipeline("prometheus"),
                "traces": _pipeline("debug"),
                "logs": _pipeline("debug"),
            }
        },
    }


def _pipeline(exporter: str) -> dict[str, object]:
    return {"receivers": ["otlp"], "processors": ["memory_limiter", "batch"], "exporters": [exporter]}


def _example(stack: Stack) -> dict[str, object]:
    port = EXAMPLE_PORT
    probe = f"import urllib.request; urllib.request.urlopen('http://127.0.0.1:{port}/metrics', timeout=3)"
    return {
        "build": {"context": stack.source or ".", "dockerfile_inline": _dockerfile(stack.source)},
        "command": ["otel-monitoring", "demo", "--host", "0.0.0.0", "--port", str(port)],  # noqa: S104 (in a container)
        "init": True,
        "stop_signal": "SIGINT",
        "ports": [f"127.0.0.1:{port}:{port}"],
        "healthcheck": {"test": ["CMD", "python", "-c", probe], **_PROBE},
        "restart": "unless-stopped",
    }


def _dockerfile(source: str | None) -> str:
    if source is None:
        made = ["RUN pip install --no-cache-dir 'otel-monitoring[fastapi]'"]
    else:
        made = [
            "WORKDIR /source",
            "COPY pyproject.toml README.md LICENSE ./",
            "COPY otel_monitoring ./otel_monitoring",
            "RUN pip install --no-cache-dir '.[fastapi]'",
        ]
    return "\n".join([f"FROM {PYTHON_IMAGE}", *made, "USER nobody", "ENV HOME=/tmp", ""])


def _prometheus(stack: Stack) -> dict[str, object]:
    reaching = {"extra_hosts": [f"{HOST}:host-gateway"]} if stack.targets else {}
    return {
        "image": PROMETHEUS_IMAGE,
        "command": [
            "--config.file=/etc/prometheus/prometheus.yml",
            "--storage.tsdb.path=/prometheus",
            "--storage.tsdb.retention.time=15d",
            "--enable-feature=exemplar-storage",
        ],
        "volumes": ["./prometheus:/etc/prometheus:ro", "prometheus:/prometheus"],
        **reaching,
        **_started("prometheus", 9090, "/-/ready"),
    }


def _alertmanager() -> dict[str, object]:
    return {
        "image": ALERTMANAGER_IMAGE,
        "command": ["--config.file=/etc/alertmanager/alertmanager.yml", "--storage.path=/alertmanager"],
        "volumes": ["./alertmanager:/etc/alertmanager:ro", "alertmanager:/alertmanager"],
        **_started("alertmanager", 9093, "/-/ready"),
    }


def _collector() -> dict[str, object]:
    # Its image holds no program that could ask whether it is well.
    return {
        "image": COLLECTOR_IMAGE,
        "command": ["--config=/etc/otelcol/config.yaml"],
        "volumes": ["./collector:/etc/otelcol:ro"],
        "ports": ["127.0.0.1:4317:4317", "127.0.0.1:4318:4318"],
        "restart": "unless-stopped",
    }


def _grafana() -> dict[str, object]:
    return {
        "image": GRAFANA_IMAGE,
        "environment": {
            "GF_SECURITY_ADMIN_PASSWORD": "${GRAFANA_ADMIN_PASSWORD:-admin}",
            "GF_ANALYTICS_REPORTING_ENABLED": "false",
            "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
        },
        "volumes": [
            "./provisioning:/etc/grafana/provisioning:ro",
            "./dashboards:/etc/grafana/dashboards:ro",
            "grafana:/var/lib/grafana",
        ],
        "depends_on": {"prometheus": {"condition": "service_healthy"}},
        **_started("grafana", 3000, "/api/health"),
    }


def _started(name: str, port: int, path: str) -> dict[str, object]:
    """Return what the programs with a shell in their image have in common."""
    address = f"http://127.0.0.1:{port}{path}"
    probe = ["CMD", "wget", "-q", "-O", "/dev/null", address]
    published = f"127.0.0.1:${{{name.upper()}_PORT:-{port}}}:{port}"
    return {
        "ports": [published],
        "healthcheck": {"test": probe, **_PROBE},
        "restart": "unless-stopped",
    }


def _as_seen_inside(target: str) -> str:
    """Return a host and port as a container reaches it: what is this machine's own is another's there."""
    host, colon, port = target.rpartition(":")
    return f"{HOST}{colon}{port}" if host in {"localhost", "127.0.0.1", "[::1]"} else target
