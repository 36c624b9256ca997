"""A FastAPI application with its metrics at /metrics.

pip install 'otel-monitoring[fastapi]'
python examples/fastapi_app.py            # http://127.0.0.1:8000, /docs, /metrics
"""

from __future__ import annotations

import asyncio
import random

import uvicorn
from fastapi import FastAPI

from otel_monitoring import MonitoringService

monitoring = MonitoringService(service_name="scorer")
app = FastAPI(title="Scorer")
monitoring.instrument(app, metrics_path="/metrics")


@monitoring.operation("score", component="scorer")
async def score(prospect_id: str) -> float:
    """Score one prospect between 0 and 1; some have no profile."""
    await asyncio.sleep(random.expovariate(50))
    if prospect_id == "unknown":
        raise LookupError(f"no profile for {prospect_id}")
    found = random.random()
    monitoring.record_metric("prospect_score", found, {"platform": "linkedin", "score_type": "engagement"})
    return found


@app.get("/prospects/{prospect_id}/score")
async def show_score(prospect_id: str) -> dict[str, float]:
    """Return the score of a prospect."""
    return {"score": await score(prospect_id)}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=8000)
