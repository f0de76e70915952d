"""From a message centre into the books and back: the real engine, the real conversation, a centre that others wrote."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.rows import dict_row

from channels.inbound import Inbound
from channels.sms.contract import Tools
from channels.sms.smpp.carrier import Carrier
from engine.api import Engine
from engine.words import DeliveryState
from tests.channels.phone import MSISDN
from tests.channels.smpp.conftest import text
from tests.peers.processes import NpmSmsc
from tests.waiting import until

pytestmark = pytest.mark.needs("node")
FIELDS = {"source_addr": MSISDN.removeprefix("+"), "source_addr_ton": 1, "destination_addr": "123"}


@pytest.fixture
def owner(database_url: str):
    with psycopg.connect(database_url, autocommit=True, row_factory=dict_row) as connection:
        yield connection


@pytest.fixture
async def bound(npm: NpmSmsc, engine: Engine, texting, redis_client, keyring):
    inbound = Inbound(engine, texting())
    tools = Tools(redis=redis_client, keyring=keyring, on_incoming=inbound.take, on_report=inbound.report)
    options = {"host": "127.0.0.1", "port": npm.port, "system_id": "rasid", "password": "secret"}
    carrier = Carrier("operator", options, tools)
    await carrier.start()
    assert await carrier.bound(10)
    yield carrier
    await carrier.close()


async def test_a_text_is_in_the_books_when_it_is_acknowledged(npm: NpmSmsc, bound, line: str, owner) -> None:
    await npm.tell("deliver", fields={**FIELDS, "short_message": "BAL"})
    assert (await npm.wait("ack"))["status"] == 0
    rows = owner.execute("SELECT topic, state FROM outbox").fetchall()
    assert rows == [{"topic": "reply", "state": "due"}]
    await npm.tell("deliver", fields={**FIELDS, "short_message": "BAL"})
    await npm.wait("ack", 2)
    assert len(owner.execute("SELECT 1 FROM outbox").fetchall()) == 2, "asked again, answered again"


async def test_a_voucher_in_parts_is_redeemed_once_however_often_they_come(
    npm: NpmSmsc, bound, line: str, vouchers: list[str], owner
) -> None:
    # Spaces make it long: a person may write so, and the parts come in the wrong order and twice.
    words = ("RCH" + " " * 150, vouchers[0])
    parts = [bytes([5, 0, 3, 9, 2, place]) + part.encode() for place, part in enumerate(words, 1)]
    for place, content in enumerate((parts[1], parts[0], parts[1], parts[0]), 1):
        await npm.tell("deliver", fields={**FIELDS, "esm_class": 0x40, "short_message": {"hex": content.hex()}})
        if place > 1:
            await npm.wait("ack", place)
    assert {event["status"] for event in npm.all("ack")} <= {0, 0x64}
    (reply,) = owner.execute("SELECT body FROM outbox WHERE topic = 'reply'").fetchall()
    assert reply["body"]["text"].startswith("Recharged KES 50.00. Balance KES 50.00 until")


@pytest.mark.parametrize(("when", "spelling"), [("before", "decimal"), ("before", "hex"), ("after", "decimal")])
async def test_a_receipt_finds_its_message_in_the_books_first_or_last(
    *, npm: NpmSmsc, bound: Carrier, line: str, engine: Engine, owner, when: str, spelling: str
) -> None:
    await npm.tell("receipts", when=when, spelling=spelling)
    await npm.tell("deliver", fields={**FIELDS, "short_message": "BAL"})
    await npm.wait("ack")
    (message,) = await engine.claim_messages(10, 60)
    sent = await bound.send(text("Your balance", to=MSISDN))
    if when == "before":
        await until(lambda: owner.execute("SELECT 1 FROM carrier_message").fetchall())
    await engine.record_attempt(message, "operator", sent.carrier_id, DeliveryState.SENT)
    await until(lambda: owner.execute("SELECT delivery FROM outbox").fetchone() == {"delivery": "delivered"})
