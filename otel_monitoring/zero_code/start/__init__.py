"""Stands first in PYTHONPATH of what ``otel-monitoring run`` starts, and holds ``sitecustomize`` alone."""
