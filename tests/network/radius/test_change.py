"""An access server hears of what changed for its sessions, until it has taken it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import uuid4

import pytest
from pyrad import packet

from engine.words import Adjust, OpenSession, Subscriber, Unit
from network.changes import Changes
from network.radius import change
from network.radius.change import ChangeClient, filter_of
from settings import RadiusSettings
from tests.engine.shop import asking, credit, open_line
from tests.network.radius.conftest import House, OpenNas
from tests.network.radius.nas import DICTIONARY, SECRET, Nas


class Authority(asyncio.DatagramProtocol):
    """The dynamic authorisation server of an access server, packets read and made by pyrad."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[packet.CoAPacket] = asyncio.Queue()
        #: codes to answer with, the last one for ever; None: no answer
        self.answers: list[int | None] = [packet.CoAACK]
        self.cause: int | None = None
        #: the code of what somebody who does not know the secret answers first
        self.forged: int | None = None
        self.secret = SECRET.encode()

    async def start(self) -> int:
        loop = asyncio.get_running_loop()
        self.transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        port: int = self.transport.get_extra_info("sockname")[1]
        return port

    def datagram_received(self, data: bytes, addr: Any) -> None:
        asked = packet.CoAPacket(dict=DICTIONARY, secret=self.secret, packet=data)
        assert asked.VerifyCoARequest() and asked.verify_message_authenticator()
        self.asked.put_nowait(asked)
        if self.forged is not None:
            for answer in (b"\x2c", bytes([self.forged, data[1], 0, 20]) + uuid4().bytes):
                self.transport.sendto(answer, addr)
        code = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if code is None:
            return
        genuine = asked.CreateReply()
        genuine.code = code
        if self.cause is not None:
            genuine["Error-Cause"] = self.cause
        self.transport.sendto(genuine.ReplyPacket(), addr)

    async def next(self) -> packet.CoAPacket:
        return await asyncio.wait_for(self.asked.get(), 10)


@pytest.fixture
async def authority() -> AsyncIterator[Authority]:
    made = Authority()
    yield made
    made.transport.close()


@pytest.fixture
async def radius_settings(authority: Authority) -> RadiusSettings:
    client = {"addresses": ["127.0.0.1"], "secret": SECRET, "rating_group": 10, "coa_port": await authority.start()}
    return RadiusSettings.model_validate({"host": "127.0.0.1", "port": 0, "clients": {"bng": client}})


@pytest.fixture
async def following(house: House, radius_settings: RadiusSettings, poor: Subscriber) -> AsyncIterator[None]:
    """The worker, running since the session is open."""
    client, stop = ChangeClient(radius_settings), asyncio.Event()
    task = asyncio.create_task(Changes(house.engine, "radius", client.tell).run(stop))
    yield
    stop.set()
    await task
    await client.close()


@pytest.fixture
async def poor(house: House, nas: Nas, radius_settings: RadiusSettings) -> Subscriber:
    """A line with a session, and a megabyte left."""
    made = await open_line(house.engine)
    await credit(house.engine, made, 1_000_000, Unit.OCTETS)
    # What was before the session is told to nobody.
    client = ChangeClient(radius_settings)
    while await Changes(house.engine, "radius", client.tell).tell_due():
        continue
    await nas.ask("Start", Calling_Station_Id=made.msisdn, Acct_Session_Id="abcd")
    return made


@pytest.fixture
async def session(house: House, poor: Subscriber) -> OpenSession:
    """The session of that line."""
    (found,) = await house.engine.sessions.open_sessions(poor.account)
    return found


async def told(settings: RadiusSettings, session: OpenSession, *statuses: dict[str, str]) -> list[str | None]:
    """What a client says of telling a session one after the other."""
    client = ChangeClient(settings)
    try:
        return [await client.tell(session, one) for one in statuses]
    finally:
        await client.close()


async def use_up(nas: Nas, line: Subscriber) -> None:
    await nas.ask(
        "Interim-Update", Calling_Station_Id=line.msisdn, Acct_Session_Id="abcd", Acct_Output_Octets=1_000_000
    )


@pytest.mark.usefixtures("following")
async def test_a_session_hears_that_nothing_is_left_and_within_a_second_that_it_was_paid_for(
    house: House, nas: Nas, poor: Subscriber, authority: Authority
) -> None:
    await use_up(nas, poor)
    exhausted = await authority.next()
    assert exhausted.code == packet.CoARequest
    assert exhausted["Filter-Id"] == ["rasid-exhausted"]
    assert (exhausted["Acct-Session-Id"], exhausted["NAS-Identifier"]) == (["abcd"], ["bng-1"])
    assert abs(exhausted["Event-Timestamp"][0] - time.time()) < 60
    await house.engine.post(asking(Adjust, poor, unit=Unit.OCTETS, amount=5_000_000, reason="paid"))
    restored = await asyncio.wait_for(authority.next(), 1)
    assert restored["Filter-Id"] == ["rasid-active"]


@pytest.mark.usefixtures("following")
async def test_what_is_not_answered_is_sent_again_until_it_is(
    nas: Nas, poor: Subscriber, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change, "SENT_AGAIN", (0.1, 0.1, 0.1))
    authority.answers = [None, packet.CoAACK]
    await use_up(nas, poor)
    first, second = await authority.next(), await authority.next()
    assert (first.id, first.authenticator) == (second.id, second.authenticator)
    await asyncio.sleep(0.3)  # longer than the next wait
    assert authority.asked.empty()


@pytest.mark.usefixtures("following")
async def test_what_is_refused_is_tried_again(nas: Nas, poor: Subscriber, authority: Authority) -> None:
    authority.answers, authority.cause = [packet.CoANAK, packet.CoAACK], 506
    await use_up(nas, poor)
    first, second = await authority.next(), await authority.next()
    assert first.id != second.id and second["Filter-Id"] == ["rasid-exhausted"]


async def test_an_access_server_that_is_away_keeps_no_other_from_hearing_how_things_stand_now(
    house: House, nas: Nas, poor: Subscriber, open_nas: OpenNas
) -> None:
    other = await open_nas(house.port, "bng-2")
    await other.ask("Start", Calling_Station_Id=poor.msisdn, Acct_Session_Id="efgh")
    heard: dict[str, list[str]] = {"bng/bng-1": [], "bng/bng-2": []}

    async def tell(session: OpenSession, statuses: Mapping[str, str]) -> str | None:
        heard[session.node].append(statuses["data"])
        return "no answer" if session.node == "bng/bng-2" else None

    changes = Changes(house.engine, "radius", tell)
    await use_up(nas, poor)
    await changes.tell_due()
    await house.engine.post(asking(Adjust, poor, unit=Unit.OCTETS, amount=5_000_000, reason="paid"))
    async with asyncio.timeout(20):
        while heard["bng/bng-1"][-1] != "active":
            await changes.tell_due()
            await asyncio.sleep(0.05)
    assert heard == {"bng/bng-1": ["exhausted", "active"], "bng/bng-2": ["exhausted", "active"]}


async def test_an_access_server_that_never_answers_is_left_alone_for_a_while(
    session: OpenSession, authority: Authority, radius_settings: RadiusSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change, "SENT_AGAIN", (0.02,))
    authority.answers = [None]
    said = await told(radius_settings, session, *8 * [{"data": "active"}])
    assert said == ["no answer"] * 5 + ["nobody is there"] * 3
    assert authority.asked.qsize() == 5


async def test_a_session_that_the_access_server_does_not_have_need_not_hear(
    session: OpenSession, authority: Authority, radius_settings: RadiusSettings
) -> None:
    authority.answers, authority.cause = [packet.CoANAK], 503
    assert await told(radius_settings, session, {"data": "active"}) == [None]


async def test_without_a_filter_the_session_is_ended(
    session: OpenSession, authority: Authority, radius_settings: RadiusSettings
) -> None:
    client = radius_settings.clients["bng"].model_copy(update={"filter_exhausted": ""})
    settings = radius_settings.model_copy(update={"clients": {"bng": client}})
    authority.answers = [packet.DisconnectACK]
    assert await told(settings, session, {"data": "exhausted"}) == [None]
    assert (await authority.next()).code == packet.DisconnectRequest


async def test_an_answer_from_who_does_not_know_the_secret_is_passed_over_for_the_one_behind_it(
    session: OpenSession, authority: Authority, radius_settings: RadiusSettings
) -> None:
    authority.forged = packet.CoANAK
    assert await told(radius_settings, session, {"data": "active"}) == [None]
    assert authority.asked.qsize() == 1


async def test_an_answer_that_only_who_does_not_know_the_secret_gives_is_none(
    session: OpenSession, authority: Authority, radius_settings: RadiusSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change, "SENT_AGAIN", (0.05,))
    authority.answers, authority.forged = [None], packet.CoAACK
    assert await told(radius_settings, session, {"data": "active"}) == ["no answer"]


async def test_other_counters_than_the_clients_are_not_told(
    session: OpenSession, authority: Authority, radius_settings: RadiusSettings
) -> None:
    assert await told(radius_settings, session, {"voice": "exhausted"}) == [None]
    assert authority.asked.empty()


@pytest.mark.parametrize(
    ("statuses", "named"),
    [
        ({"data": "active", "speed": "full"}, "rasid-active"),
        ({"data": "active", "speed": "1mbps"}, "slow"),
        ({"speed": "1mbps"}, "slow"),
        # A step that this access server has no filter for is served like full speed.
        ({"speed": "2mbps"}, "rasid-active"),
        ({"speed": "full"}, "rasid-active"),
        ({"data": "exhausted", "speed": "1mbps"}, "rasid-exhausted"),
        ({"voice": "active"}, None),
        # Barred when its data was used up already: only that is told, whatever else changes.
        ({"line": "ended"}, "rasid-exhausted"),
        ({"line": "ended", "voice": "exhausted", "speed": "full"}, "rasid-exhausted"),
        # Another line of the account recharged: how fast this one is served its own change says.
        ({"data": "active"}, None),
    ],
)
def test_a_served_session_is_given_the_filter_of_its_speed(
    radius_settings: RadiusSettings, statuses: dict[str, str], named: str | None
) -> None:
    client = radius_settings.clients["bng"].model_copy(update={"filter_speeds": {"1mbps": "slow"}})
    assert filter_of(client, statuses) == named
