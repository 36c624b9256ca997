"""Dashboards and alerts as code: Python over the catalogue, PromQL as the query language."""

from __future__ import annotations
