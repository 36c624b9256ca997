"""Ways out: what was recorded, for Prometheus to fetch, for a Pushgateway, and through OpenTelemetry's SDK."""
