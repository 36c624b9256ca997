"""A Flask application with its metrics at /metrics.

pip install otel-monitoring flask
python examples/flask_app.py            # http://127.0.0.1:8000/prospects/anna/score, /metrics
"""

from __future__ import annotations

import random

from flask import Flask

from otel_monitoring import MonitoringService

monitoring = MonitoringService(service_name="scorer")
app = Flask(__name__)
monitoring.instrument(app, metrics_path="/metrics")


@monitoring.operation("score", component="scorer")
def score(prospect_id: str) -> float:
    """Score one prospect between 0 and 1; some have no profile."""
    if prospect_id == "unknown":
        raise LookupError(f"no profile for {prospect_id}")
    found = random.random()
    monitoring.record_metric("prospect_score", found, {"platform": "linkedin", "score_type": "engagement"})
    return found


@app.get("/prospects/<prospect_id>/score")
def show_score(prospect_id: str) -> dict[str, float]:
    """Return the score of a prospect."""
    return {"score": score(prospect_id)}


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=8000)
