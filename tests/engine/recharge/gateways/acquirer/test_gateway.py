"""The acquiring bank, over TCP, against a host that speaks ISO 8583 by its own table of fields."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import iso8583
import pytest
from hypothesis import given, strategies as st
from iso8583.specs import default_ascii

from engine.recharge.gateways.acquirer.codes import REASONS, reason_of
from engine.recharge.gateways.acquirer.gateway import Gateway
from engine.recharge.gateways.acquirer.link import Link
from engine.recharge.gateways.acquirer.messages import (
    SPEC,
    Speaker,
    Unreadable,
    pack,
    read_private,
    rrn,
    stan,
    unpack,
)
from engine.recharge.gateways.acquirer.options import AcquirerOptions
from engine.recharge.gateways.contract import (
    BadCallback,
    BadRow,
    DeclineReason,
    GatewayState,
    Payer,
    RefundRequest,
    SettlementRow,
)
from engine.recharge.gateways.http import NoAnswer, NotSent
from engine.recharge.gateways.options import Tools, WrongOptions
from sandbox.payments.server import PaymentsSandbox
from tests.engine.recharge.gateways.peers import IMPATIENT, callback, charge, get_text, ref

OPTIONS = {
    "host": "127.0.0.1",
    "port": 9,
    "acquirer_id": "123456",
    "terminal_id": "RASID001",
    "merchant_id": "OPERATOR",
    "currency": "KES",
    "currency_number": "404",
}
TOKEN = Payer(token="tok_9f3c")


def made(port: int, seconds: float = 5.0, **options: Any) -> Gateway:
    return Gateway("bank", {**OPTIONS, "port": port, **options}, Tools(timeout_seconds=seconds))


@pytest.fixture
async def bank(providers: PaymentsSandbox) -> AsyncIterator[Callable[..., Awaitable[Gateway]]]:
    """Makes a started gateway."""
    gateways: list[Gateway] = []

    async def start(seconds: float = 5.0, **options: Any) -> Gateway:
        gateway = made(providers.acquirer_port, seconds, **options)
        await gateway.start()
        gateways.append(gateway)
        return gateway

    yield start
    for gateway in gateways:
        await gateway.stop()


def by_token(**given: Any) -> Any:
    return charge(**{"payer": TOKEN, **given})


def types(providers: PaymentsSandbox) -> list[str]:
    return [message["t"] for message in providers.acquirer.heard if message["t"] != "0800"]


async def heard(providers: PaymentsSandbox, kind: str, count: int = 1, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        seen = types(providers)
        while seen.count(kind) < count:
            await asyncio.sleep(0.02)
            seen = types(providers)


async def test_a_payment_is_authorised_after_signing_on(bank: Any, providers: PaymentsSandbox) -> None:
    gateway = await bank()
    request = by_token()
    outcome = await gateway.charge(request)
    assert (outcome.state, outcome.amount, outcome.currency) == (GatewayState.CAPTURED, 5000, "KES")
    assert outcome.gateway_ref == rrn(request.payment_id)
    assert [(message["t"], message.get("70")) for message in providers.acquirer.heard] == [
        ("0800", "001"),
        ("0200", None),
    ]


async def test_no_card_number_is_ever_sent_and_the_token_goes_in_a_private_field(
    bank: Any, providers: PaymentsSandbox
) -> None:
    await (await bank()).charge(by_token())
    message = providers.acquirer.heard[-1]
    assert "2" not in message
    assert read_private(message["48"]) == {"TK": "tok_9f3c", "RF": "7F3K2M"}
    with pytest.raises(ValueError, match="card number"):
        pack({"t": "0200", "2": "4242424242424242"})


async def test_the_same_payment_asked_again_bears_the_same_numbers_and_is_charged_once(
    bank: Any, providers: PaymentsSandbox
) -> None:
    first_process, second_process = await bank(), await bank()
    request = by_token()
    one, two = await first_process.charge(request), await second_process.charge(request)
    assert one == two
    first, second = (message for message in providers.acquirer.heard if message["t"] == "0200")
    assert (first["11"], first["37"]) == (second["11"], second["37"])
    [payment] = providers.desk.ledger.all("acquirer")
    assert sum(moved.amount for moved in payment.movements) == 5000


@pytest.mark.parametrize("reason", ["funds", "cancelled", "wrong_pin", "limit", "method", "fraud", "other"])
async def test_a_refusal_says_why(bank: Any, script: Any, reason: str) -> None:
    gateway = await bank()
    await script("decline", reason=reason)
    outcome = await gateway.charge(by_token())
    assert (outcome.state, outcome.reason) == (GatewayState.DECLINED, DeclineReason(reason))


def test_every_code_that_is_not_listed_is_a_refusal_without_a_reason() -> None:
    assert reason_of("99") is reason_of("ZZ") is DeclineReason.OTHER
    assert all(len(code) == 2 for code in REASONS)


@pytest.mark.parametrize("play", ["lost", "late", "hang", "drop"])
async def test_a_payment_without_an_answer_is_unknown_and_taken_back(
    bank: Any, providers: PaymentsSandbox, script: Any, play: str
) -> None:
    gateway = await bank(IMPATIENT)
    await script(play, seconds=1.2)
    request = by_token()
    assert (await gateway.charge(request)).state is GatewayState.UNKNOWN
    await heard(providers, "0400")
    told = await asked(gateway, request)
    assert (told.state, told.reason) == (GatewayState.DECLINED, DeclineReason.TIMEOUT)
    assert all(payment.movements == [] for payment in providers.desk.ledger.all())


async def asked(gateway: Gateway, request: Any) -> Any:
    """As the recovery asks: when nobody can be waiting for the answer any more."""
    long_ago = datetime.now(UTC) - timedelta(minutes=5)
    async with asyncio.timeout(10):
        told = await gateway.status(ref(request, requested_at=long_ago))
        while told.state is GatewayState.UNKNOWN:
            told = await gateway.status(ref(request, requested_at=long_ago))
    return told


async def test_a_reversal_is_repeated_until_it_is_answered(bank: Any, providers: PaymentsSandbox, script: Any) -> None:
    gateway = await bank(0.2)
    await script("lost", face="acquirer")
    await script("hang", face="reversal", times=2)
    await gateway.charge(by_token())
    await heard(providers, "0401", 2)
    reversals = [message for message in providers.acquirer.heard if message["t"] in {"0400", "0401"}]
    assert [message["t"] for message in reversals] == ["0400", "0401", "0401"]
    assert len({(message["11"], message["37"], message["90"]) for message in reversals}) == 1
    assert reversals[0]["90"].startswith("0200")


async def test_a_payment_that_comes_after_its_reversal_is_refused(bank: Any, providers: PaymentsSandbox) -> None:
    gateway = await bank()
    request = by_token()
    assert (await gateway.cancel(ref(request))).state is GatewayState.DECLINED
    assert (await gateway.charge(request)).state is GatewayState.DECLINED
    assert all(payment.movements == [] for payment in providers.desk.ledger.all())


async def test_what_another_process_may_still_be_waiting_for_is_not_taken_back(
    bank: Any, providers: PaymentsSandbox
) -> None:
    gateway = await bank()
    assert (await gateway.status(ref(by_token()))).state is GatewayState.PENDING
    assert types(providers) == []


async def test_what_was_answered_is_not_taken_back_by_a_question(bank: Any, providers: PaymentsSandbox) -> None:
    gateway = await bank()
    request = by_token()
    outcome = await gateway.charge(request)
    long_ago = datetime.now(UTC) - timedelta(days=1)
    told = await gateway.status(ref(request, outcome.gateway_ref, requested_at=long_ago))
    assert told.state is GatewayState.UNKNOWN
    assert types(providers) == ["0200"]


async def test_a_bank_that_answers_questions_is_asked_and_nothing_is_taken_back(
    bank: Any, providers: PaymentsSandbox, script: Any
) -> None:
    gateway = await bank(IMPATIENT, on_timeout="inquire")
    made_after_all, never_made, declined = by_token(), by_token(), by_token()
    await script("lost")
    assert (await gateway.charge(made_after_all)).state is GatewayState.UNKNOWN
    await script("hang")
    assert (await gateway.charge(never_made)).state is GatewayState.UNKNOWN
    await script("decline", reason="limit")
    await gateway.charge(declined)
    told = await gateway.status(ref(made_after_all))
    assert (told.state, told.amount) == (GatewayState.CAPTURED, 5000)
    assert (await gateway.status(ref(never_made))).state is GatewayState.NOT_FOUND
    refusal = await gateway.status(ref(declined))
    assert (refusal.state, refusal.reason) == (GatewayState.DECLINED, DeclineReason.LIMIT)
    assert "0400" not in types(providers)
    await gateway.cancel(ref(made_after_all))
    assert (await gateway.status(ref(made_after_all))).state is GatewayState.DECLINED


async def test_what_is_held_is_taken_by_an_advice(bank: Any, providers: PaymentsSandbox) -> None:
    gateway = await bank(hold=True)
    request = by_token()
    assert (await gateway.charge(request)).state is GatewayState.HELD
    for _ in range(2):
        assert (await gateway.confirm(ref(request))).state is GatewayState.CAPTURED
    assert types(providers) == ["0100", "0220", "0220"]
    assert (await gateway.confirm(ref(by_token()))).state is GatewayState.NOT_FOUND
    [payment] = providers.desk.ledger.all("acquirer")
    assert sum(moved.amount for moved in payment.movements) == 5000


async def test_a_refund_asked_twice_is_given_once(bank: Any, providers: PaymentsSandbox) -> None:
    gateway = await bank()
    request = by_token()
    outcome = await gateway.charge(request)
    payment = ref(request, outcome.gateway_ref)
    some = RefundRequest(payment=payment, refund_id=uuid4(), amount=2000, reason="x")
    for _ in range(2):
        given = await gateway.refund(some)
        assert (given.state, given.amount, given.gateway_ref) == (GatewayState.REFUNDED, 2000, outcome.gateway_ref)
    too_much = RefundRequest(payment=payment, refund_id=uuid4(), amount=3001, reason="x")
    assert (await gateway.refund(too_much)).state is GatewayState.DECLINED
    text = await get_text(f"{providers.base_url}/acquirer/settlement.csv")
    rows = list(gateway.read_settlement(text.splitlines(keepends=True)))
    assert [(row.gateway_ref, row.amount) for row in rows if isinstance(row, SettlementRow)] == [
        (outcome.gateway_ref, 5000),
        (outcome.gateway_ref, -2000),
    ]


async def test_many_requests_are_on_their_way_at_once_and_each_gets_its_own_answer(
    bank: Any, providers: PaymentsSandbox, script: Any
) -> None:
    gateway = await bank()
    await script("slow", seconds=0.3)
    requests = [by_token(amount=100 * number) for number in range(1, 60)]
    outcomes = await asyncio.gather(*map(gateway.charge, requests))
    assert [outcome.amount for outcome in outcomes] == [request.amount for request in requests]
    assert len([message for message in providers.acquirer.heard if message.get("70") == "001"]) == 1


async def test_a_broken_line_is_taken_up_again(bank: Any, providers: PaymentsSandbox) -> None:
    gateway = await bank()
    assert (await gateway.charge(by_token())).state is GatewayState.CAPTURED
    providers.acquirer.hang_up()
    await asyncio.sleep(0.05)
    assert (await gateway.charge(by_token())).state is GatewayState.CAPTURED
    assert len([message for message in providers.acquirer.heard if message.get("70") == "001"]) == 2


async def test_without_a_line_nothing_has_left_us(dead_port: int) -> None:
    gateway = made(dead_port, IMPATIENT)
    await gateway.start()
    assert (await gateway.charge(by_token())).state is GatewayState.NOT_FOUND
    assert (await gateway.confirm(ref(by_token()))).state is not GatewayState.NOT_FOUND
    assert (await gateway.cancel(ref(by_token()))).state is GatewayState.UNKNOWN
    await gateway.stop()


@pytest.mark.parametrize("amount", [0, -1, 10**12, 10**16])
async def test_an_amount_that_field_4_cannot_hold_is_never_sent(
    bank: Any, providers: PaymentsSandbox, amount: int
) -> None:
    gateway = await bank()
    assert (await gateway.charge(by_token(amount=amount))).state is GatewayState.DECLINED
    assert (await gateway.charge(by_token(currency="UGX"))).state is GatewayState.DECLINED
    assert (await gateway.charge(by_token(payer=Payer(token="two words")))).state is GatewayState.DECLINED
    assert types(providers) == []


def test_a_bank_takes_no_callbacks() -> None:
    with pytest.raises(BadCallback) as refused:
        made(9).read_callback(callback(b"{}"))
    assert refused.value.status == 404


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
