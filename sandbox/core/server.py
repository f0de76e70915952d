"""The server: people's use of the network is begun here, and the charging function tells us things here.

* ``POST /uses`` ``{msisdn, rating_group, unit, amount}``: a session that uses so much; 201 with its ``number``
* ``GET /uses/<number>?after=<n>``: how it stands, with its events from the ``n``-th on
* ``POST /uses/<number>/stop``: the person stops
* ``POST /notify/<number>``: ``notifyUri`` of a session (TS 32.291 §6.1.5.2)
"""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
from aiohttp import web

from sandbox.core.usage import FIELDS, PACE, Use

#: the collection at the charging function (TS 32.291 §6.1.3.2)
COLLECTION = "/nchf-convergedcharging/v3/chargingdata"
#: seconds for one request to the charging function
PATIENCE = 10.0
#: sessions that are remembered; octets, seconds or messages that one may use
MOST_USES, MOST = 200, 10**12


class PacketCore:
    """The core of one network. Nothing is opened before ``start``."""

    def __init__(self, charging: str, api_key: str, *, pace: float = PACE) -> None:
        """``charging``: address of the charging function, without a path; ``pace``: seconds between two reports."""
        self._root = charging.rstrip("/") + COLLECTION
        self._api_key = api_key
        self._pace = pace
        self._uses: dict[int, Use] = {}
        self._begun = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._runner: web.AppRunner | None = None
        self._http: aiohttp.ClientSession
        #: of this server, without a path
        self.base_url = ""

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen; ``port`` 0 is any free one."""
        headers = {"Authorization": f"Bearer {self._api_key}"}
        self._http = aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=PATIENCE))
        application = web.Application()
        application.add_routes(
            [
                web.post("/uses", self._begin),
                web.get(r"/uses/{number:\d{1,9}}", self._show),
                web.post(r"/uses/{number:\d{1,9}}/stop", self._stop),
                web.post(r"/notify/{number:\d{1,9}}", self._notified),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        self.base_url = f"http://{host}:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Break off what is under way, and listen no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.close()
        if self._runner is not None:
            await self._runner.cleanup()

    def begin(self, *, msisdn: str, rating_group: int, unit: str, amount: int) -> Use:
        """Begin to use the network as this line; it goes on by itself."""
        self._begun += 1
        use = Use(number=self._begun, msisdn=msisdn, rating_group=rating_group, unit=unit, amount=amount)
        self._uses[use.number] = use
        for old in list(self._uses)[:-MOST_USES]:
            self._uses.pop(old).leave()
        task = asyncio.create_task(use.run(self._http, self._root, f"{self.base_url}/notify/{use.number}", self._pace))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return use

    async def _begin(self, request: web.Request) -> web.Response:
        try:
            asked: dict[str, Any] = dict(await request.json())
            msisdn, unit = str(asked["msisdn"]).lstrip("+"), str(asked["unit"])
            rating_group, amount = int(asked["rating_group"]), int(asked["amount"])
        except (ValueError, TypeError, KeyError) as error:
            raise web.HTTPBadRequest(text=f"msisdn, rating_group, unit and amount are meant: {error}") from None
        if not msisdn.isdecimal() or unit not in FIELDS or rating_group < 0 or not 0 < amount <= MOST:
            raise web.HTTPBadRequest(text="msisdn: digits; unit: octets, seconds, messages; amount: above 0")
        use = self.begin(msisdn=msisdn, rating_group=rating_group, unit=unit, amount=amount)
        return web.json_response(use.describe(), status=201)

    def _found(self, request: web.Request) -> Use:
        use = self._uses.get(int(request.match_info["number"]))
        if use is None:
            raise web.HTTPNotFound
        return use

    async def _show(self, request: web.Request) -> web.Response:
        after = request.query.get("after", "0")
        if not after.isdecimal():
            raise web.HTTPBadRequest(text="after: a number")
        return web.json_response(self._found(request).describe(int(after)))

    async def _stop(self, request: web.Request) -> web.Response:
        use = self._found(request)
        use.leave()
        return web.json_response(use.describe())

    async def _notified(self, request: web.Request) -> web.Response:
        use = self._found(request)
        if use.state in {"ended", "failed"}:
            raise web.HTTPNotFound
        asked = await request.json()
        use.notified(str(asked.get("notificationType", "")))
        return web.Response(status=204)
