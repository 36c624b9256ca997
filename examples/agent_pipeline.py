"""An agent that finds prospects, scores them, writes to them and sends: tools, streams, retries and rate limits.

pip install otel-monitoring httpx2
python examples/agent_pipeline.py                # metrics at http://127.0.0.1:9464/metrics, until Ctrl-C
python examples/agent_pipeline.py --once         # one round; says what came of it
"""

import argparse
import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx2

from otel_monitoring import MonitoringService

Prospect = dict[str, Any]
LINKEDIN = {"platform": "linkedin"}
FITS, QUOTA, BUSY = 0.3, 12, 7

monitoring = MonitoringService(service_name="outreach", platforms={"127.0.0.1": "linkedin", "localhost": "anthropic"})
monitoring.instrument()  # every HTTP client: its calls, and the rate limits that answers tell of


class Outreach:
    """The pipeline."""

    def __init__(self, linkedin: httpx2.AsyncClient, model: httpx2.AsyncClient) -> None:
        self.linkedin, self.model = linkedin, model

    @monitoring.agent("outreach")
    async def run(self, pages: int) -> None:
        """Write to everybody who fits."""
        async for prospect in self.find(pages):
            if self.score(prospect) < FITS:
                monitoring.record_metric("outreach_attempts_total", 1, LINKEDIN | {"outcome": "skipped"})
                continue
            text = "".join([piece async for piece in self.write(prospect)])
            with suppress(httpx2.HTTPError):  # counted where it arose, once; the next prospect is waiting
                await self.send(prospect, text)

    @monitoring.tool("find", component="finder")
    async def find(self, pages: int) -> AsyncIterator[Prospect]:
        """Give prospects as their pages come: the time to the first, and how many, are measured."""
        for page in range(pages):
            answer = await self.call("GET", "/prospects", params={"page": page})
            for prospect in answer.raise_for_status().json():
                yield prospect

    @monitoring.operation(component="scorer")
    def score(self, prospect: Prospect) -> float:
        """Return a prospect's score; the last one is a gauge, and all of them are a distribution."""
        if prospect["fit"] > 1:
            context = {"prospect_id": prospect["id"], "fit": prospect["fit"]}
            monitoring.log_error("The fit is beyond 1", "invalid_profile", "scorer", context)
        score: float = min(prospect["fit"], 1.0)
        monitoring.record_metric("prospect_score", score, LINKEDIN | {"score_type": "engagement"})
        return score

    @monitoring.agent("writer", component="writer")
    async def write(self, prospect: Prospect) -> AsyncIterator[str]:
        """Give a message as the model writes it, and report the tokens."""
        async with self.model.stream("POST", "/v1/write", json=prospect) as answer:
            async for piece in answer.aiter_text():
                yield piece
        tokens = [int(answer.headers[name]) for name in ("x-input-tokens", "x-output-tokens")]
        monitoring.record_tokens("claude-sonnet-4-5", *tokens, provider="anthropic")

    @monitoring.tool("send", component="sender")
    async def send(self, prospect: Prospect, text: str) -> None:
        """Send a message, and record what the platform says came of it."""
        answer = await self.call("POST", "/messages", json={"to": prospect["id"], "text": text})
        outcome = "sent" if answer.is_success else "failed"
        monitoring.record_metric("outreach_attempts_total", 1, LINKEDIN | {"outcome": outcome})
        reaction = answer.raise_for_status().json()
        monitoring.record_metric("engagement_total", reaction["replies"], LINKEDIN | {"metric_type": "reply"})
        monitoring.record_metric("conversions_total", reaction["meetings"], LINKEDIN | {"conversion_type": "meeting"})

    async def call(self, method: str, path: str, tries: int = 3, **content: Any) -> httpx2.Response:  # noqa: ANN401
        """Call the platform when it takes calls, and again where it refuses."""
        await monitoring.rate_limits.wait("linkedin")  # at once while there is headroom, else until the reset
        answer = await self.linkedin.request(method, path, **content)
        if answer.status_code in {429, 503} and tries > 1:
            return await self.call(method, path, tries - 1, **content)
        return answer


class FakePlatform(BaseHTTPRequestHandler):
    """Stands for platform and model: so many calls in two seconds, a busy moment in ten, a mailbox that is gone."""

    window, calls, reset = 0, 0, 0

    def do_GET(self) -> None:
        """Answer, unless the calls of this window are spent."""
        given = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or "{}")
        if self.path == "/v1/write":
            return self.answer(200, f"Hello {given['id']}, I liked your talk.", x_input_tokens=40, x_output_tokens=6)
        if time.time() >= self.reset:
            FakePlatform.window, FakePlatform.reset = 0, int(time.time()) + 2
        FakePlatform.window, FakePlatform.calls = self.window + 1, self.calls + 1
        left = QUOTA - self.window
        limit = {"x_ratelimit_limit": QUOTA, "x_ratelimit_remaining": max(left, 0), "x_ratelimit_reset": self.reset}
        if left < 0 or self.calls % 10 == BUSY:
            return self.answer(429 if left < 0 else 503, {}, retry_after=1)
        if self.path == "/messages":
            to: str = given["to"]
            return self.answer(404 if to == "1-1" else 201, {"replies": to > "1-2", "meetings": to > "2"}, **limit)
        page = int(self.path[-1])
        return self.answer(200, [{"id": f"{page}-{n}", "fit": page / 5 + n / 4} for n in range(5)], **limit)

    do_POST = do_GET  # noqa: N815 (the base class's names)

    def answer(self, status: int, body: object, **headers: int) -> None:
        """Send an answer."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (as above)
        """Say nothing."""


async def main(port: int, *, once: bool) -> None:
    """Run rounds, as fast as the platform allows."""
    platform = HTTPServer(("127.0.0.1", 0), FakePlatform)
    threading.Thread(target=platform.serve_forever, daemon=True).start()
    url = f"http://{{}}:{platform.server_port}"
    linkedin, model = (httpx2.AsyncClient(base_url=url.format(host)) for host in ("127.0.0.1", "localhost"))
    print(f"metrics at {monitoring.serve(port).url}", flush=True)  # noqa: T201 (for who tries it)
    async with linkedin, model:
        while True:
            await Outreach(linkedin, model).run(pages=3)
            if once:
                break
    print(monitoring.rate_limits.status("linkedin"))  # noqa: T201 (as above)


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--once", action="store_true", help="one round")
    options.add_argument("--port", type=int, default=9464, help="of the metrics; 0 takes any free one")
    with suppress(KeyboardInterrupt):
        asyncio.run(main(**vars(options.parse_args())))
