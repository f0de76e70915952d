"""RestComm, Comviva and TruRoute over real HTTP: a recharge, hop by hop, with every hop sent twice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple
from xml.etree import ElementTree as ET

import pytest

from channels.ussd.comviva.gateway import Gateway as Comviva
from channels.ussd.restcomm.gateway import Gateway as Restcomm
from channels.ussd.truroute.gateway import Gateway as Truroute
from engine.api import Engine
from runtime.metrics import Metrics
from tests.channels.phone import FACE_VALUE, MSISDN, money
from tests.channels.ussd.conftest import ServeAdapter
from tests.serving import Client

BEGIN = (
    '<dialog type="Begin" networkId="0" localId="{local}" remoteId="13" mapMessagesSize="1">'
    '<processUnstructuredSSRequest_Request invokeId="1" dataCodingScheme="15" string="{text}">'
    '<msisdn nai="international_number" npi="ISDN" number="{number}"/></processUnstructuredSSRequest_Request></dialog>'
)
TYPED = (
    '<dialog type="Continue" networkId="0" localId="{local}" remoteId="13" mapMessagesSize="1">'
    '<unstructuredSSRequest_Response invokeId="0" dataCodingScheme="15" string="{text}"/></dialog>'
)
ABORT = (
    '<dialog type="Unknown" networkId="0" localId="{local}" remoteId="13" mapMessagesSize="0" '
    'mapUserAbortChoice="isUserSpecificReason"><errComponents/></dialog>'
)


class Heard(NamedTuple):
    """What a gateway was answered."""

    status: int
    body: bytes
    text: str
    ends: bool


#: sends one input of session ``session``
Hop = Callable[[Client, str, str], Awaitable[Heard]]


async def restcomm(client: Client, text: str, session: str) -> Heard:
    sent = (BEGIN if text.startswith("*") else TYPED).format(local=session, text=text, number=MSISDN[1:])
    client.session.cookie_jar.clear()
    response = await client.post("/ussd/restcomm", data=sent, headers={"Content-Type": "text/xml"})
    body = await response.read()
    (message,) = ET.fromstring(body)
    ends = message.tag == "processUnstructuredSSRequest_Response"
    # Session 77 is one that nobody began.
    assert not ends or message.get("invokeId") == ("0" if session == "77" else "1")
    return Heard(response.status, body, message.get("string") or "", ends)


async def comviva(client: Client, text: str, session: str) -> Heard:
    # What was dialled comes without its * and #, so nothing in a hop tells whether it is the first.
    fields = {"SessionID": session, "MSISDN": MSISDN[1:], "MSC": "9876", "input": text.strip("*#")}
    response = await client.get("/ussd/comviva", params=fields)
    body = await response.read()
    return Heard(response.status, body, body.decode(), response.headers["Freeflow"] == "FB")


async def truroute(client: Client, text: str, session: str) -> Heard:
    kind = 1 if text.startswith("*") else 2
    fields = f"<msisdn>{MSISDN[1:]}</msisdn><sessionid>{session}</sessionid><type>{kind}</type><msg>{text}</msg>"
    response = await client.post("/ussd/truroute", data=f"<ussd>{fields}</ussd>")
    body = await response.read()
    found = ET.fromstring(body)
    return Heard(response.status, body, found.findtext("msg") or "", found.findtext("type") == "3")


GATEWAYS = {"restcomm": (Restcomm, restcomm), "comviva": (Comviva, comviva), "truroute": (Truroute, truroute)}


@pytest.fixture(params=GATEWAYS)
async def hop(request: pytest.FixtureRequest, serving: ServeAdapter) -> Callable[[str, str], Awaitable[Heard]]:
    adapter, send = GATEWAYS[request.param]
    client = await serving(request.param, adapter(request.param, "123", {}))

    async def say(text: str, session: str = "12") -> Heard:
        return await send(client, text, session)

    return say


async def test_a_recharge_whose_every_hop_comes_twice_pays_once_and_is_answered_byte_for_byte(
    hop, engine: Engine, line: str, vouchers: list[str]
) -> None:
    said: list[Heard] = []
    for text in ("*123#", "2", vouchers[0], "1"):
        once, again = await hop(text), await hop(text)
        assert once == again
        said.append(once)
    assert [heard.ends for heard in said] == [False, False, False, True]
    assert {heard.status for heard in said} == {200}
    assert await money(engine) == FACE_VALUE


async def test_a_shortcut_stops_in_front_of_the_money(hop, engine: Engine, line: str, vouchers: list[str]) -> None:
    assert not (await hop(f"*123*{vouchers[0]}*1#")).ends
    assert await money(engine) == 0
    assert (await hop("1")).ends
    assert await money(engine) == FACE_VALUE


async def test_an_answer_to_a_session_that_nobody_knows_ends_it(hop, line: str) -> None:
    assert (await hop("1", "77")).ends


async def test_two_sessions_side_by_side_do_not_meet(hop, line: str) -> None:
    first = await hop("*123#", "21")
    second = await hop("*123*2#", "22")
    assert first.text != second.text
    assert (await hop("0", "22")).text == first.text


# --- RestComm ---


async def test_restcomm_s_cookie_finds_the_session_where_the_dialogue_has_no_ids(
    serving: ServeAdapter, line: str
) -> None:
    client = await serving("restcomm", Restcomm("restcomm", "123", {}))
    for local in ("12", ""):
        client.session.cookie_jar.clear()
        sent = BEGIN.format(local=local, text="*123*2#", number=MSISDN[1:])
        first = await client.post("/ussd/restcomm", data=sent)
        cookie = first.cookies["JSESSIONID"].value
        typed = TYPED.format(local="", text="0").replace('remoteId="13"', "")
        headers = {"Cookie": f"JSESSIONID={cookie}"}
        client.session.cookie_jar.clear()
        second = await client.post("/ussd/restcomm", data=typed, headers=headers)
        assert "unstructuredSSRequest_Request" in await second.text()


async def test_restcomm_s_transaction_ids_come_round_and_are_another_session(
    serving: ServeAdapter, engine: Engine, line: str, vouchers: list[str]
) -> None:
    client = await serving("restcomm", Restcomm("restcomm", "123", {}))
    for number in vouchers[:2]:
        for text in ("*123#", "2", number):
            assert not (await restcomm(client, text, "12")).ends
        assert (await restcomm(client, "1", "12")).ends
    assert await money(engine) == 2 * FACE_VALUE


async def test_restcomm_s_ids_used_again_right_after_the_end_begin_anew(serving: ServeAdapter, line: str) -> None:
    client = await serving("restcomm", Restcomm("restcomm", "123", {}))
    first = await restcomm(client, "*123#", "12")
    assert (await restcomm(client, "0", "12")).ends
    assert await restcomm(client, "*123#", "12") == first
    assert not (await restcomm(client, "1", "12")).ends


async def test_restcomm_s_abort_closes_the_session_and_is_counted(serving: ServeAdapter, line: str) -> None:
    metrics = Metrics()
    client = await serving("restcomm", Restcomm("restcomm", "123", {}), metrics)
    await restcomm(client, "*123#", "12")
    response = await client.post("/ussd/restcomm", data=ABORT.format(local="12"))
    assert response.status == 200
    assert (await restcomm(client, "1", "12")).ends
    assert 'gateway="restcomm",outcome="user_abort"} 1.0' in metrics.render().decode()


async def test_what_comviva_s_caller_types_may_be_the_very_code(
    serving: ServeAdapter, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.sessions.SAME_SECONDS", 0.001)  # so soon it would be the first hop, repeated
    client = await serving("comviva", Comviva("comviva", "123", {}))
    home = await comviva(client, "*123#", "12")
    asked = await comviva(client, "2", "12")
    typed = await comviva(client, "123", "12")
    assert not typed.ends and typed.text not in (home.text, asked.text), "an answer, and a wrong one"


async def test_comviva_s_first_hop_of_a_code_that_is_not_served_is_no_session(serving: ServeAdapter, line: str) -> None:
    client = await serving("comviva", Comviva("comviva", "123", {}))
    assert (await comviva(client, "*124#", "12")).ends


async def test_comviva_s_cleanup_closes_the_session_and_is_answered_with_nothing(
    serving: ServeAdapter, line: str
) -> None:
    client = await serving("comviva", Comviva("comviva", "123", {}))
    await comviva(client, "*123#", "12")
    fields = {"SessionID": "12", "msisdn": MSISDN[1:], "clean": "clean-session", "error": "522"}
    response = await client.get("/ussd/comviva", params=fields)
    assert (response.status, await response.read()) == (200, b"")
    assert (await comviva(client, "1", "12")).ends


@pytest.mark.parametrize("name", GATEWAYS)
async def test_a_malformed_request_is_refused_by_the_field_s_name(serving: ServeAdapter, name: str) -> None:
    adapter, _ = GATEWAYS[name]
    client = await serving(name, adapter(name, "123", {}))
    asked = client.get(f"/ussd/{name}") if name == "comviva" else client.post(f"/ussd/{name}", data=b"<!DOCTYPE a><a/>")
    response = await asked
    assert response.status == 400
    assert ("input: missing" if name == "comviva" else "body: a document type") in await response.text()
