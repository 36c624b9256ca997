"""What the rows of Business Metrics read, and where its values lead."""

from __future__ import annotations

from otel_monitoring.grafana.dashboard import link_to
from otel_monitoring.grafana.shipped_rules.terms import BUSINESS

SCORED = 'prospect_score_distribution_count{platform=~"$platform"}'
ENGAGED = 'engagement_total{platform=~"$platform"}'
SENT = 'outreach_attempts_total{platform=~"$platform", outcome="sent"}'
CONVERTED = 'conversions_total{platform=~"$platform"}'
ONLY_PLATFORM = {"platform": link_to(BUSINESS, "platform")}
