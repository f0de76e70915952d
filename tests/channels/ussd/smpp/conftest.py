"""USSD centres on sockets, and people who dial through them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from channels.smpp.names import Command, ServiceOp, Tag
from channels.smpp.pdu import Pdu, ShortMessage, Tlv, number, octets
from channels.smpp.text import Alphabet, decode_text
from channels.turn import Reply, Turn
from channels.ussd.outbound import Tools
from channels.ussd.smpp.outbound import Outbound
from runtime.keyring import Keyring
from tests.channels.phone import MSISDN
from tests.channels.smpp.conftest import npm, smsc
from tests.doubles.smsc import Connection, Smsc

__all__ = ["npm", "smsc"]

Bind = Callable[..., Awaitable[Outbound]]


class Listener:
    """Stands where the conversation stands: keeps the turns, and answers them as it is told."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.says = Reply(text="1 Balance", ends=False, label="main_menu.home")
        self.gate = asyncio.Event()
        self.gate.set()
        #: the next turns are answered by this failure
        self.fail = 0

    async def turn(self, turn: Turn) -> Reply:
        self.turns.append(turn)
        await self.gate.wait()
        if self.fail:
            self.fail -= 1
            raise ConnectionError("Redis is away")
        return self.says


@pytest.fixture
async def redis_client(redis_url: str) -> AsyncIterator[Redis]:
    """Waits as long as it takes: a machine that is busy must not look like a Redis that is away."""
    client = Redis.from_url(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
async def bind(redis_client: Redis, keyring: Keyring, listener: Listener) -> AsyncIterator[Bind]:
    """Binds to a centre as one process would: ``bind(port, turn=…, dialect=…)``."""
    made: list[Outbound] = []

    async def make(
        port: int,
        *,
        turn: Callable[[Turn], Awaitable[Reply]] = listener.turn,
        ended: Callable[[str], None] = lambda _outcome: None,
        deadline_seconds: float = 5.0,
        bound: bool = True,
        **options: Any,
    ) -> Outbound:
        tools = Tools(
            redis=redis_client,
            keyring=keyring,
            turn=turn,
            ended=ended,
            service_code="123",
            deadline_seconds=deadline_seconds,
        )
        given = {"host": "127.0.0.1", "port": port, "system_id": "rasid", "password": "secret", **options}
        one = Outbound("centre", given, tools)
        made.append(one)
        await one.start()
        assert not bound or await one.bound(10)
        return one

    yield make
    for one in made:
        await one.close()


class Handset:
    """A person behind a centre that speaks the standard dialect, in session ``session``."""

    def __init__(self, smsc: Smsc, session: int = 7, msisdn: str = MSISDN) -> None:
        self.smsc = smsc
        self.session = session
        self.msisdn = msisdn.removeprefix("+")

    def typed(self, text: str, operation: int | None = None, *, end: bool = False, **fields: Any) -> ShortMessage:
        """The message that carries an input; a dialled string begins."""
        if operation is None:
            operation = ServiceOp.PSSR_INDICATION if text.startswith("*") else ServiceOp.USSR_CONFIRM
        tlvs = (
            Tlv(Tag.USSD_SERVICE_OP, bytes([operation])),
            Tlv(Tag.ITS_SESSION_INFO, bytes([self.session, int(end)])),
        )
        known = {
            "service_type": "USSD",
            "source_addr_ton": 1,
            "source_addr_npi": 1,
            "source_addr": self.msisdn,
            "destination_addr": "123",
            "data_coding": 0x0F,
            "short_message": text.encode(),
            "tlvs": tlvs,
        }
        return ShortMessage(**(known | fields))

    async def deliver(self, message: ShortMessage, connection: Connection | None = None) -> Pdu:
        """The centre's request, and our acknowledgement."""
        return await (connection or self.smsc.connections[0]).ask(Command.DELIVER_SM, message)

    async def say(self, text: str, **fields: Any) -> str:
        """Type something, and read the screen that comes."""
        before = len(self.smsc.submitted)
        assert (await self.deliver(self.typed(text, **fields))).status == 0
        await self.smsc.until(lambda: len(self.smsc.submitted) > before)
        return screen(self.smsc.submitted[-1])


def screen(pdu: Pdu) -> str:
    """The text that a ``submit_sm`` carries."""
    body = pdu.body
    assert isinstance(body, ShortMessage)
    return decode_text(body.short_message, body.data_coding, Alphabet.GSM)


def operation(pdu: Pdu) -> int | None:
    """Its ``ussd_service_op``."""
    return number(pdu.body.tlvs, Tag.USSD_SERVICE_OP)  # type: ignore[attr-defined]


def session_info(pdu: Pdu) -> bytes | None:
    """Its ``its_session_info``."""
    return octets(pdu.body.tlvs, Tag.ITS_SESSION_INFO)  # type: ignore[attr-defined]
