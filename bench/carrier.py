"""A carrier on a socket that answers every text after 50 ms, in Africa's Talking's form, and remembers when it came.

``python -m bench.carrier PORT``. A process of its own, so that what it costs is not counted as the worker's.
"""

from __future__ import annotations

import asyncio
import sys
import time
from urllib.parse import parse_qsl

import msgspec
import uvloop
from aiohttp import web

#: seconds from request to answer, as carriers take
ANSWER_SECONDS = 0.05
PATH = "/version1/messaging"


class Carrier:
    """Takes texts; ``heard`` holds for whom and when: seconds of the clock that all processes of a machine share."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, float]] = []

    async def take(self, request: web.Request) -> web.Response:
        """``POST``: a text, taken and answered."""
        to = dict(parse_qsl((await request.read()).decode()))["to"]
        self.heard.append((to, time.monotonic()))
        name = f"ATXid_{len(self.heard):032x}"
        await asyncio.sleep(ANSWER_SECONDS)
        recipient = {"statusCode": 101, "number": to, "status": "Success", "cost": "KES 0.8000", "messageId": name}
        said = {"SMSMessageData": {"Message": "Sent to 1/1 Total Cost: KES 0.8000", "Recipients": [recipient]}}
        return web.Response(body=msgspec.json.encode(said), status=201, content_type="application/json")

    async def count(self, _request: web.Request) -> web.Response:
        """``GET /``: how many came."""
        return web.Response(text=str(len(self.heard)))

    async def all(self, _request: web.Request) -> web.Response:
        """``GET /heard``: every one of them."""
        return web.Response(body=msgspec.json.encode(self.heard), content_type="application/json")

    async def forget(self, _request: web.Request) -> web.Response:
        """``DELETE /heard``: begin anew."""
        self.heard.clear()
        return web.Response(text="0")


async def serve(port: int) -> None:
    """Serve on 127.0.0.1 until killed."""
    carrier = Carrier()
    application = web.Application()
    application.add_routes(
        [
            web.post(PATH, carrier.take),
            web.get("/", carrier.count),
            web.get("/heard", carrier.all),
            web.delete("/heard", carrier.forget),
        ]
    )
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1])))
