"""The floor of a turn and of a page: aiohttp on uvloop, one process, the form parsed and a fixed text answered.

``python -m bench.floor PORT``. No server on this stack can be faster, whatever it does.
"""

from __future__ import annotations

import asyncio
import sys
from urllib.parse import parse_qsl

import uvloop
from aiohttp import web

#: about as long as the portal's home, and it ends alike
PAGE = "<!doctype html>\n" + "<p>KES 150.00</p>\n" * 480 + "</html>"
#: a balance screen as Rasid sends it, so that both sides send as much
SCREEN = "CON Balance: KES 150.00\n1. Recharge\n2. Bundles\n0. Back\n00. Home"


async def hop(request: web.Request) -> web.Response:
    """Any hop: parsed, and answered alike."""
    fields = dict(parse_qsl((await request.read()).decode(), keep_blank_values=True))
    if not fields["sessionId"] or not fields["phoneNumber"]:
        raise web.HTTPBadRequest
    return web.Response(text=SCREEN)


async def page(request: web.Request) -> web.Response:
    """Any page: as long as the portal's home, and the same for everybody."""
    if not request.cookies:
        raise web.HTTPBadRequest
    return web.Response(text=PAGE, content_type="text/html")


async def serve(port: int) -> None:
    """Serve on 127.0.0.1 until killed."""
    application = web.Application()
    application.add_routes([web.post("/ussd/{gateway}", hop), web.get("/portal", page)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1])))
