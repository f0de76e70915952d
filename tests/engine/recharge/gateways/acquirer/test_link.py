"""A host that misbehaves, the messages on the wire, the options, and the settlement file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import iso8583
import pytest
from hypothesis import given, strategies as st
from iso8583.specs import default_ascii

from configuration.options import WrongOptions
from engine.recharge.gateways.acquirer.gateway import Gateway
from engine.recharge.gateways.acquirer.link import Link
from engine.recharge.gateways.acquirer.messages import (
    SPEC,
    Speaker,
    Unreadable,
    read_private,
    rrn,
    stan,
    unpack,
)
from engine.recharge.gateways.acquirer.options import AcquirerOptions
from engine.recharge.gateways.contract import (
    BadRow,
    GatewayState,
    RefundRequest,
    SettlementRow,
)
from engine.recharge.gateways.http import NoAnswer, NotSent
from engine.recharge.gateways.options import Tools
from tests.engine.recharge.gateways.acquirer.account import OPTIONS, by_token, made
from tests.engine.recharge.gateways.peers import IMPATIENT, ref

# --- a host that misbehaves ---


class Host:
    """A host whose answers are what ``answer`` makes of each message."""

    def __init__(self, answer: Callable[[dict[str, str]], list[bytes]]) -> None:
        self.answer = answer
        self.heard: list[dict[str, str]] = []
        self.port = 0
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        try:
            while True:
                raw = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
                message, _ = iso8583.decode(raw, default_ascii)
                self.heard.append(dict(message))
                for answer in self.answer(dict(message)):
                    writer.write(answer)
        except (asyncio.IncompleteReadError, OSError):
            writer.close()


def framed(message: dict[str, str]) -> bytes:
    raw, _ = iso8583.encode(message, default_ascii)
    return len(raw).to_bytes(2) + bytes(raw)


def answered(message: dict[str, str], **fields: str) -> bytes:
    kind = f"{message['t'][:2]}{int(message['t'][2]) + 1}0"
    echoed = {field: message[field] for field in ("4", "7", "11", "37", "49", "70") if field in message}
    return framed({"t": kind} | echoed | {name.strip("f"): value for name, value in fields.items()})


@pytest.fixture
async def host() -> AsyncIterator[Callable[..., Awaitable[Host]]]:
    hosts: list[Host] = []

    async def start(answer: Callable[[dict[str, str]], list[bytes]]) -> Host:
        one = Host(lambda message: [answered(message, f39="00")] if message["t"] == "0800" else answer(message))
        await one.start()
        hosts.append(one)
        return one

    yield start
    for one in hosts:
        await one.stop()


SENSELESS: list[Callable[[dict[str, str]], list[bytes]]] = [
    lambda message: [b"\x00\x05hello"],
    lambda message: [b"\x00\x00"],
    lambda message: [b"\xff\xff" + b"x" * 100],
    lambda message: [answered(message)],
    lambda message: [answered(message, f39="00", f4="000000000000")],
    lambda message: [answered(message, f39="00", f49="840")],
    lambda message: [answered({**message, "37": "SOMEBODYELSE"}, f39="00")],
    lambda message: [answered({**message, "11": "000000"}, f39="00")],
    lambda message: [framed({"t": "0410", "11": message["11"], "37": message["37"], "39": "00"})],
    lambda message: [answered(message, f39="68")],
]


@pytest.mark.parametrize("answer", SENSELESS, ids=range(len(SENSELESS)))
async def test_an_answer_that_makes_no_sense_is_unknown(host: Any, answer: Any) -> None:
    gateway = made((await host(answer)).port, IMPATIENT, on_timeout="inquire")
    await gateway.start()
    assert (await gateway.charge(by_token())).state is GatewayState.UNKNOWN
    assert (await gateway.status(ref(by_token()))).state is GatewayState.UNKNOWN
    refund = RefundRequest(payment=ref(by_token(), "R"), refund_id=uuid4(), amount=1, reason="x")
    assert (await gateway.refund(refund)).state is GatewayState.UNKNOWN
    await gateway.stop()


async def test_after_a_message_that_cannot_be_read_the_next_is_found(host: Any) -> None:
    def answer(message: dict[str, str]) -> list[bytes]:
        return [b"\x00\x05hello", answered(message, f39="00")]

    gateway = made((await host(answer)).port)
    await gateway.start()
    assert (await gateway.charge(by_token())).state is GatewayState.CAPTURED
    await gateway.stop()


async def test_a_host_that_refuses_the_sign_on_gets_no_payments(host: Any) -> None:
    server = await host(lambda message: [answered(message, f39="00")])
    server.answer = lambda message: [answered(message, f39="91" if message["t"] == "0800" else "00")]
    gateway = made(server.port, IMPATIENT)
    await gateway.start()
    assert (await gateway.charge(by_token())).state is GatewayState.NOT_FOUND
    assert {message["t"] for message in server.heard} == {"0800"}
    await gateway.stop()


async def test_a_silent_line_is_tried_and_a_dead_one_is_left(host: Any) -> None:
    server = await host(lambda _message: [])
    answer = server.answer
    server.answer = lambda message: [] if message.get("70") == "301" else answer(message)
    now = 0.0
    link = Link("127.0.0.1", server.port, Speaker(AcquirerOptions(**OPTIONS)), echo_seconds=0.05, clock=lambda: now)
    link.start()
    async with asyncio.timeout(10):
        while not any(message.get("70") == "301" for message in server.heard):
            now += 0.06
            await asyncio.sleep(0.02)
    with pytest.raises((NoAnswer, NotSent)):
        await link.ask(Speaker(AcquirerOptions(**OPTIONS)).charge(by_token()), 0.1)
    await link.stop()


async def test_an_answer_that_was_slept_through_is_none(host: Any) -> None:
    now = 0.0

    def answer(message: dict[str, str]) -> list[bytes]:
        nonlocal now
        now += 60.0  # the process was stopped, and the answer lay in the socket
        return [answered(message, f39="00")]

    server = await host(answer)
    link = Link("127.0.0.1", server.port, Speaker(AcquirerOptions(**OPTIONS)), clock=lambda: now)
    link.start()
    with pytest.raises(NoAnswer):
        await link.ask(Speaker(AcquirerOptions(**OPTIONS)).charge(by_token()), 5.0)
    await link.stop()


async def test_the_banks_own_echo_is_answered(host: Any) -> None:
    echo = {"t": "0800", "7": "1121104211", "11": "000077", "70": "301"}
    server = await host(lambda message: [framed(echo), answered(message, f39="00")])
    gateway = made(server.port)
    await gateway.start()
    await gateway.charge(by_token())
    await gateway.charge(by_token())
    replies = [message for message in server.heard if message["t"] == "0810"]
    assert replies and replies[0]["11"] == "000077" and replies[0]["39"] == "00"
    await gateway.stop()


# --- messages ---


@given(st.uuids(), st.uuids())
def test_numbers_follow_from_the_payment_and_its_step(one: UUID, other: UUID) -> None:
    assert stan(one, "charge") == stan(one, "charge") and len(stan(one, "charge")) == 6
    assert int(stan(one, "charge")) > 0
    assert len(rrn(one)) == 12 and rrn(one).isalnum()
    assert (rrn(one) == rrn(other)) == (one == other)


@given(st.binary(max_size=300))
def test_no_bytes_do_more_than_be_refused(raw: bytes) -> None:
    try:
        message = unpack(raw)
    except Unreadable:
        return
    assert "t" in message and "2" not in message


@given(st.text(max_size=60))
def test_no_private_field_does_more_than_be_refused(text: str) -> None:
    try:
        parts = read_private(text)
    except Unreadable:
        return
    assert sum(5 + len(value) for value in parts.values()) <= len(text)


def test_a_message_with_a_card_number_is_not_even_read() -> None:
    raw, _ = iso8583.encode({"t": "0210", "2": "4242424242424242", "39": "00"}, default_ascii)
    with pytest.raises(Unreadable):
        unpack(bytes(raw))
    assert "2" not in SPEC


# --- settings and settlement file ---


@pytest.mark.parametrize(
    ("option", "value"), [("port", 0), ("terminal_id", "too long for it"), ("currency_number", "4")]
)
def test_wrong_options_are_refused_by_name(option: str, value: Any) -> None:
    with pytest.raises(WrongOptions, match=option):
        Gateway("bank", {**OPTIONS, option: value}, Tools())


def test_broken_rows_are_named_by_line_and_the_rest_is_done() -> None:
    lines = [
        "rrn,type,amount,fee,currency,booked_at,original_rrn",
        "AAAAAAAAAAAA,purchase,5000,50,KES,2026-11-21T10:42:11Z,",
        "BBBBBBBBBBBB,sale,5000,50,KES,2026-11-21T10:42:11Z,",
        "CCCCCCCCCCCC,purchase,-5000,50,KES,2026-11-21T10:42:11Z,",
        "DDDDDDDDDDDD,purchase,0,50,KES,2026-11-21T10:42:11Z,",
        "EEEEEEEEEEEE,refund,5000,0,KES,2026-11-21T10:42:11Z,",
        "FFFFFFFFFFFF,chargeback,5000,0,KES,2026-11-21T10:42:11Z,AAAAAAAAAAAA",
    ]
    rows = list(made(9).read_settlement(lines))
    assert [row.line for row in rows if isinstance(row, BadRow)] == [3, 4, 5, 6]
    assert [(row.amount, row.state) for row in rows if isinstance(row, SettlementRow)] == [
        (5000, GatewayState.CAPTURED),
        (-5000, GatewayState.CHARGEBACK),
    ]
