"""Every setting, where it may come from, and the one object that holds them all.

A setting has one name in three spellings: ``grafana_url`` as a keyword and in the
dictionary, ``OTEL_MONITORING_GRAFANA_URL`` in the environment.  The first of these that
gives a value wins: keyword, dictionary, ``OTEL_MONITORING_…``, OpenTelemetry's own
variable, default.  Text is read alike wherever it comes from (``"9464"`` is a port,
``"off"`` is false); ``None`` and empty text mean "not given".

No other module reads settings from the environment.
"""

from __future__ import annotations

from otel_monitoring.settings.about import Row
from otel_monitoring.settings.kinds import BYTES, DAYS, Kind, is_pattern
from otel_monitoring.settings.settings import Settings

__all__ = ["BYTES", "DAYS", "Kind", "Row", "Settings", "is_pattern"]
