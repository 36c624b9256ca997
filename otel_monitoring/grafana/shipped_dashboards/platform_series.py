"""What the rows of Platform Metrics read, and where its values lead."""

from __future__ import annotations

from otel_monitoring.grafana.dashboard import link_to
from otel_monitoring.grafana.shipped_rules.terms import PLATFORM

# A reading holds until its window ends; of several instances the one with the least left counts.
HOLDS = 'rate_limit_reset_timestamp_seconds{platform=~"$platform"} > time()'
LEFT = f'min by (platform, limit_type) (rate_limit_remaining{{platform=~"$platform"}} and {HOLDS})'
QUOTA = 'max by (platform, limit_type) (rate_limit_quota{platform=~"$platform"})'
SHARE_LEFT = f"{LEFT} / ({QUOTA} > 0)"
RESETS_IN = f"max by (platform, limit_type) ({HOLDS}) - time()"
FALLING = f'min by (platform, limit_type) (deriv(rate_limit_remaining{{platform=~"$platform"}}[5m]) and {HOLDS}) < 0'
EMPTY_IN = f"{LEFT} / (0 - ({FALLING}))"
QUOTA_COLORS = {0.1: "orange", 0.25: "green"}
ONLY_PLATFORM = {"platform": link_to(PLATFORM, "platform")}
