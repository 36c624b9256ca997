"""A FastAPI application with its metrics at /metrics.

pip install 'otel-monitoring[fastapi]'
python examples/fastapi_app.py            # http://127.0.0.1:8000/docs, /metrics, until Ctrl-C
python examples/fastapi_app.py --port 0   # any free port
"""

from __future__ import annotations

import argparse
import asyncio
import random
from contextlib import suppress
from typing import TYPE_CHECKING

import uvicorn
from fastapi import BackgroundTasks, FastAPI
from fastapi.responses import StreamingResponse

from otel_monitoring import MonitoringService

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

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


@monitoring.operation("draft", component="writer")
async def draft(prospect_id: str) -> AsyncIterator[str]:
    """Give a message word by word: the time to the first word, and how many, are measured."""
    for word in f"Hello {prospect_id}, I have seen your work.".split():
        await asyncio.sleep(0.01)
        yield f"{word} "


@monitoring.operation("send", component="sender")
async def send(prospect_id: str) -> None:
    """Send a message; it is measured apart from the request, which has been answered by then."""
    outcome = "skipped" if prospect_id == "unknown" else "sent"
    monitoring.record_metric("outreach_attempts_total", 1, {"platform": "linkedin", "outcome": outcome})


@app.get("/prospects/{prospect_id}/score")
async def show_score(prospect_id: str) -> dict[str, float]:
    """Return the score of a prospect; what it raises is a 500, and an error that is counted once."""
    return {"score": await score(prospect_id)}


@app.get("/prospects/{prospect_id}/draft")
async def stream_draft(prospect_id: str) -> StreamingResponse:
    """Return a message as it is written; the request lasts as long as its stream."""
    return StreamingResponse(draft(prospect_id), media_type="text/plain")


@app.post("/prospects/{prospect_id}/messages", status_code=202)
async def send_later(prospect_id: str, tasks: BackgroundTasks) -> None:
    """Send a message once the request is answered."""
    tasks.add_task(send, prospect_id)


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--port", type=int, default=8000)
    with suppress(KeyboardInterrupt):  # earlier releases of uvicorn raise it when Ctrl-C has stopped them
        uvicorn.run(app, host="127.0.0.1", port=options.parse_args().port)
