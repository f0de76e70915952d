"""One use of the network as a session management function charges it: create, updates, release (TS 32.290 §5.3).

Quota is asked for step by step. What is granted is used at a steady pace and reported; where nothing is granted any
more the flow stops, and the session waits: a notification that quota may be asked for anew (§5.3.2.4) lets it go on.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import aiohttp

Json = dict[str, Any]

#: reports that a use is cut into, and seconds between two
STEPS, PACE = 10, 0.4
#: seconds that a session without quota is kept before the phone is taken off the network
PATIENCE = 600.0
#: of what goes over the air, this part goes up, in per cent
UPLINK = 8
#: field of a unit on the wire (TS 32.291 §6.1.6.2.1.10)
FIELDS = {"octets": "totalVolume", "seconds": "time", "messages": "serviceSpecificUnits"}
SUCCESS = "SUCCESS"


class Use:
    """One session. ``run`` uses ``amount`` of ``unit`` in ``rating_group`` and then ends it."""

    def __init__(self, *, number: int, msisdn: str, rating_group: int, unit: str, amount: int) -> None:
        self.number = number
        self.msisdn = msisdn
        self.rating_group = rating_group
        self.unit = unit
        self.amount = amount
        #: running, stopped (no quota), ended, failed
        self.state = "running"
        self.used = 0
        #: everything that was said, oldest first
        self.events: list[Json] = []
        self._granted = 0
        self._final: Json | None = None
        self._sequence = 0
        self._again = asyncio.Event()
        self._leave = asyncio.Event()

    def describe(self, after: int = 0) -> Json:
        """As it stands, with the events from ``after`` on."""
        names = ("number", "msisdn", "rating_group", "unit", "amount", "state", "used")
        return {name: getattr(self, name) for name in names} | {"events": self.events[after:]}

    def notified(self, kind: str) -> None:
        """The charging function asks for something: to ask anew, or to end."""
        self._tell("notified", notification=kind)
        (self._leave if kind == "ABORT_CHARGING" else self._again).set()

    def leave(self) -> None:
        """The person stops."""
        self._leave.set()

    async def run(self, http: aiohttp.ClientSession, root: str, notify: str, pace: float = PACE) -> None:
        """Use what was asked for. ``root``: the collection of charging data; ``notify``: where we are told things."""
        try:
            location = await self._create(http, root, notify)
            if location:
                await self._use(http, location, pace)
                await self._release(http, location)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            self._end("failed", "failed", reason=type(error).__name__)

    async def _create(self, http: aiohttp.ClientSession, root: str, notify: str) -> str:
        asked = self._request() | {
            "notifyUri": notify,
            "pDUSessionChargingInformation": {
                "chargingId": self.number,
                "userInformation": {"servedGPSI": f"msisdn-{self.msisdn}"},
            },
        }
        async with http.post(root, json=asked) as answer:
            said = await answer.json(content_type=None)
            if answer.status != 201:
                self._end("failed", "refused", status=answer.status, reason=said.get("detail") or said.get("cause", ""))
                return ""
            self._take("create", answer.status, said)
            return _beside(root, answer.headers["Location"])

    async def _use(self, http: aiohttp.ClientSession, location: str, pace: float) -> None:
        while self.used < self.amount and not self._leave.is_set():
            if not self._granted:
                await self._wait_for_quota(http, location)
                continue
            await self._pause(pace)
            used, self._granted = self._granted, 0
            self.used += used
            if self.used < self.amount:
                await self._update(http, location, used)
            else:
                self._granted = used  # told with the release

    async def _wait_for_quota(self, http: aiohttp.ClientSession, location: str) -> None:
        self.state = "stopped"
        try:
            async with asyncio.timeout(PATIENCE):
                waits = [asyncio.create_task(event.wait()) for event in (self._again, self._leave)]
                try:
                    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for wait in waits:
                        wait.cancel()
        except TimeoutError:
            self._leave.set()
        if not self._leave.is_set():
            self._again.clear()
            await self._update(http, location, 0)

    async def _update(self, http: aiohttp.ClientSession, location: str, used: int) -> None:
        async with http.post(f"{location}/update", json=self._request(used)) as answer:
            said = await answer.json(content_type=None)
            if answer.status != 200:
                self._tell("refused", status=answer.status, reason=said.get("detail") or said.get("cause", ""))
                self._leave.set()
                return
            self._take("update", answer.status, said, used)

    async def _release(self, http: aiohttp.ClientSession, location: str) -> None:
        used, self._granted = (self._granted if self.used >= self.amount else 0), 0
        async with http.post(f"{location}/release", json=self._request(used, ends=True)) as answer:
            self._end("ended", "release", status=answer.status, reported=used)

    def _request(self, used: int = 0, *, ends: bool = False) -> Json:
        """A ChargingDataRequest: what was used since the last one, and what is needed next."""
        group: Json = {"ratingGroup": self.rating_group}
        if used:
            group["usedUnitContainer"] = [{"localSequenceNumber": self._sequence, **self._spent(used)}]
        if not ends:
            group["requestedUnit"] = {FIELDS[self.unit]: self._step()}
        self._sequence += 1
        return {
            "nfConsumerIdentification": {"nodeFunctionality": "SMF", "nFName": "sandbox-smf"},
            "invocationTimeStamp": datetime.now(UTC).isoformat(),
            "invocationSequenceNumber": self._sequence - 1,
            "multipleUnitUsage": [group],
        }

    def _step(self) -> int:
        return min(max(-(-self.amount // STEPS), 1), self.amount - self.used)

    def _spent(self, used: int) -> Json:
        if self.unit != "octets":
            return {FIELDS[self.unit]: used}
        up = used * UPLINK // 100
        return {"totalVolume": used, "uplinkVolume": up, "downlinkVolume": used - up}

    def _take(self, what: str, status: int, said: Json, used: int = 0) -> None:
        """Take what was granted; where that is nothing, the flow stops."""
        group: Json = next(iter(said.get("multipleUnitInformation", ())), {})
        granted = (group.get("grantedUnit") or {}).get(FIELDS[self.unit], 0)
        self._granted = min(granted, self.amount - self.used)
        resumed = self.state == "stopped" and self._granted > 0
        final = (group.get("finalUnitIndication") or {}).get("finalUnitAction")
        self._tell(
            what,
            status=status,
            reported=used,
            asked=self._step() if self.used < self.amount else 0,
            granted=granted,
            result=group.get("resultCode", ""),
            final=final,
            validity=group.get("validityTime"),
        )
        if resumed:
            self._tell("resumed")
        self.state = "running" if self._granted else "stopped"
        if not self._granted:
            self._tell("stopped", result=group.get("resultCode", ""))

    def _end(self, state: str, what: str, **more: object) -> None:
        self.state = state
        self._tell(what, **more)

    def _tell(self, what: str, **more: object) -> None:
        at = datetime.now(UTC).isoformat()
        self.events.append({"what": what, "at": at, "used": self.used, **more})

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._leave.wait()
        except TimeoutError:
            return


def _beside(root: str, location: str) -> str:
    """``Location`` may be a path of the server that was asked (RFC 9110 §10.2.2)."""
    if location.startswith("http"):
        return location
    scheme, _, rest = root.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}{location}"
