"""People's sessions over SMPP on the real engine, through the product's own dialogs."""

from __future__ import annotations

import pytest
import smpp34

from channels.smpp.names import Command, ServiceOp
from engine.api import Engine
from tests.channels.phone import FACE_VALUE, MSISDN, Talk, money
from tests.channels.ussd.smpp.conftest import Bind, Handset, operation, screen, session_info
from tests.doubles.smsc import Smsc
from tests.peers.processes import NpmSmsc


async def test_a_recharge_over_smpp(
    *, smsc: Smsc, bind: Bind, talk: Talk, engine: Engine, line: str, vouchers: list[str]
) -> None:
    await bind(smsc.port, turn=talk().turn)
    handset = Handset(smsc)
    for text in ("*123#", "2", vouchers[0]):
        await handset.say(text)
        assert operation(smsc.submitted[-1]) == ServiceOp.USSR_REQUEST
    await handset.say("1")
    assert (operation(smsc.submitted[-1]), session_info(smsc.submitted[-1])) == (17, b"\x07\x01")
    assert await money(engine) == FACE_VALUE


async def test_a_yes_whose_acknowledgement_was_lost_pays_once_and_is_answered_with_the_same_screen(
    *, smsc: Smsc, bind: Bind, talk: Talk, engine: Engine, line: str, vouchers: list[str]
) -> None:
    conversation = talk()
    one = await bind(smsc.port, turn=conversation.turn)
    handset = Handset(smsc)
    await handset.say(f"*123*{vouchers[0]}#")
    yes = handset.typed("1")
    smsc.connections[0].write(Command.DELIVER_SM, yes, sequence=99)
    smsc.connections[0].drop()
    await smsc.until(lambda: smsc.connects == 2)
    assert await one.bound(5)
    for _ in range(2):
        assert (await handset.deliver(yes)).status == 0
    await smsc.until(lambda: len(smsc.submitted) >= 2)
    assert await money(engine) == FACE_VALUE


async def test_the_same_session_number_tonight_buys_again(
    *, smsc: Smsc, bind: Bind, talk: Talk, engine: Engine, line: str, vouchers: list[str]
) -> None:
    await bind(smsc.port, turn=talk().turn)
    for number in vouchers[:2]:
        handset = Handset(smsc)
        await handset.say(f"*123*{number}#")
        await handset.say("1")
    assert await money(engine) == 2 * FACE_VALUE


async def test_an_abort_forgets_where_the_person_stood(*, smsc: Smsc, bind: Bind, talk: Talk, line: str) -> None:
    await bind(smsc.port, turn=talk().turn)
    handset = Handset(smsc)
    await handset.say("*123#")
    assert (await handset.deliver(handset.typed("", 0x81))).status == 0
    await handset.say("1")
    assert operation(smsc.submitted[-1]) == ServiceOp.PSSR_RESPONSE


# --- a centre that others wrote ---


@pytest.mark.needs("node")
async def test_a_recharge_through_the_npm_centre(
    *, npm: NpmSmsc, bind: Bind, talk: Talk, engine: Engine, line: str, vouchers: list[str]
) -> None:
    await bind(npm.port, turn=talk().turn)
    typed = ("*123#", "2", vouchers[0], "1")
    for place, text in enumerate(typed):
        fields = {
            "service_type": "USSD",
            "source_addr": MSISDN[1:],
            "source_addr_ton": 1,
            "destination_addr": "123",
            "data_coding": 0x0F,
            "short_message": {"hex": text.encode().hex()},
            "ussd_service_op": 1 if place == 0 else 18,
            "its_session_info": {"hex": "0700"},
        }
        await npm.tell("deliver", fields=fields)
        assert (await npm.wait("ack", place + 1))["status"] == 0
        said = await npm.wait("submit", place + 1)
        last = place == len(typed) - 1
        assert (said["op"], said["session"]) == ((17, "0701") if last else (2, "0700"))
        assert (said["to"], said["from"], said["service_type"]) == (MSISDN[1:], "123", "USSD")
        assert (said["data_coding"], said["registered"]) == (0x0F, 0)
        assert bytes.fromhex(said["text"])
    # The acknowledgement comes before the screen: what a centre expects of a deliver_sm.
    order = [event["event"] for event in npm.events if event["event"] in {"ack", "submit"}]
    assert order == ["ack", "submit"] * len(typed)
    assert await money(engine) == FACE_VALUE


async def test_smpp34_s_server_is_answered_under_its_own_session_s_marks(
    *, unused_tcp_port: int, bind: Bind, talk: Talk, line: str
) -> None:
    centre = smpp34.Server("127.0.0.1", unused_tcp_port, system_id="smpp34")
    await centre.start()
    try:
        await bind(unused_tcp_port, turn=talk().turn)
        esme = await centre.next()
        for place, (dialled, operation_) in enumerate((("*123#", 1), ("0", 18))):
            marks = [smpp34.Tlv(0x0501, bytes([operation_])), smpp34.Tlv(0x1383, b"\x2a\x00")]
            text = dialled.encode()
            taken = await esme.deliver_sm("123", text, source_addr=MSISDN[1:], data_coding=0x0F, tlvs=marks)
            assert taken.is_success
            said = await centre.next()
            said.accept(f"{place}")
            found = {tlv.tag: bytes(tlv.value) for tlv in said.tlvs}
            last = place == 1
            assert found == {0x0501: bytes([17 if last else 2]), 0x1383: bytes([0x2A, int(last)])}
            assert (said.destination_addr, said.data_coding) == (MSISDN[1:], 0x0F)
    finally:
        await centre.stop()


async def test_the_screens_of_a_session_are_those_of_the_dialogs(
    *, smsc: Smsc, bind: Bind, talk: Talk, line: str
) -> None:
    await bind(smsc.port, turn=talk().turn)
    handset = Handset(smsc)
    home = await handset.say("*123#")
    await handset.say("2")
    assert await handset.say("0") == home == screen(smsc.submitted[0])
