"""Screens over SMPP in both alphabets: coded as the centre wants them, and within what one USSD string holds."""

from __future__ import annotations

import pytest

from channels.layout import septets, units
from channels.smpp.pdu import ShortMessage
from dialogs.texts import Texts
from engine.api import Engine
from settings import Operator, load_operator
from tests.channels.phone import Talk
from tests.channels.ussd.smpp.conftest import Bind, Handset
from tests.conftest import ROOT
from tests.doubles.smsc import Smsc
from tests.peers.processes import NpmSmsc

MSISDN = "+97433123456"
DIALLED = ("*123#", "*123*1#", "*123*2#", "*123*3#", "*123*4#")


@pytest.fixture(scope="session")
def operator() -> Operator:
    """The sample operator of Qatar, who speaks Arabic."""
    return load_operator(ROOT / "examples" / "qatar.toml").model_copy(update={"service_code": "123"})


@pytest.fixture(scope="session")
def texts(operator: Operator) -> Texts:
    """Their languages: the fixture that all tests share has the other operator's."""
    return Texts(operator.languages, operator.timezone)


async def test_a_plain_screen_takes_one_octet_for_each_septet(
    smsc: Smsc, bind: Bind, talk: Talk, engine: Engine
) -> None:
    await engine.create_line(MSISDN, language="en")
    await bind(smsc.port, turn=talk().turn)
    for place, text in enumerate(DIALLED):
        said = await Handset(smsc, session=place, msisdn=MSISDN).say(text)
        body = smsc.submitted[-1].body
        assert isinstance(body, ShortMessage)
        assert (body.data_coding, len(body.short_message)) == (0x0F, septets(said))
        assert len(body.short_message) <= 182


async def test_an_arabic_screen_is_ucs2_of_eighty_units_at_most(
    smsc: Smsc, bind: Bind, talk: Talk, engine: Engine
) -> None:
    await engine.create_line(MSISDN, language="ar")
    await bind(smsc.port, turn=talk().turn)
    for place, text in enumerate(DIALLED):
        said = await Handset(smsc, session=place, msisdn=MSISDN).say(text)
        body = smsc.submitted[-1].body
        assert isinstance(body, ShortMessage)
        assert (body.data_coding, len(body.short_message)) == (0x08, 2 * units(said))
        assert len(body.short_message) <= 160


@pytest.mark.needs("node")
async def test_the_npm_centre_reads_arabic(npm: NpmSmsc, bind: Bind, talk: Talk, engine: Engine) -> None:
    await engine.create_line(MSISDN, language="ar")
    await bind(npm.port, turn=talk().turn, dialect="mica")
    fields = {
        "source_addr": MSISDN[1:],
        "source_addr_ton": 1,
        "destination_addr": "*123#",
        "short_message": "",
        "ussd_service_op": 1,
        "user_message_reference": 12345,
    }
    await npm.tell("deliver", fields=fields)
    said = await npm.wait("submit")
    assert (said["op"], said["reference"], said["data_coding"]) == (2, 12345, 8)
    assert any("\u0621" <= character <= "\u064a" for character in said["text"])
