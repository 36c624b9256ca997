"""A Flask application with its metrics at /metrics.

pip install otel-monitoring flask
python examples/flask_app.py              # http://127.0.0.1:5000/prospects/anna/score, /metrics, until Ctrl-C
python examples/flask_app.py --port 0     # any free port
"""

from __future__ import annotations

import argparse
import random
import time
from typing import TYPE_CHECKING

from flask import Blueprint, Flask, Response

from otel_monitoring import MonitoringService

if TYPE_CHECKING:
    from collections.abc import Iterator

monitoring = MonitoringService(service_name="scorer")
prospects = Blueprint("prospects", __name__, url_prefix="/prospects")


@monitoring.operation("score", component="scorer")
def score(prospect_id: str) -> float:
    """Score one prospect between 0 and 1; some have no profile."""
    if prospect_id == "unknown":
        raise LookupError(f"no profile for {prospect_id}")
    found = random.random()
    monitoring.record_metric("prospect_score", found, {"platform": "linkedin", "score_type": "engagement"})
    return found


@monitoring.operation("draft", component="writer")
def draft(prospect_id: str) -> Iterator[str]:
    """Give a message word by word: the time to the first word, and how many, are measured."""
    for word in f"Hello {prospect_id}, I have seen your work.".split():
        time.sleep(0.01)
        yield f"{word} "


@prospects.get("/<prospect_id>/score")
def show_score(prospect_id: str) -> dict[str, float]:
    """Return the score of a prospect; what it raises is a 500, and an error that is counted once."""
    return {"score": score(prospect_id)}


@prospects.get("/<prospect_id>/draft")
def stream_draft(prospect_id: str) -> Response:
    """Return a message as it is written; the request lasts as long as its stream."""
    return Response(draft(prospect_id), mimetype="text/plain")


app = Flask(__name__)
app.register_blueprint(prospects)
monitoring.instrument(app, metrics_path="/metrics")


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--port", type=int, default=5000)
    app.run(host="127.0.0.1", port=options.parse_args().port, threaded=True)
