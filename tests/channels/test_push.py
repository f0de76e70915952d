"""Sessions that we begin: shown by a gateway that can, answered by the same dialogs, bought in once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from uuid import uuid4
from xml.etree import ElementTree as ET

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from redis.asyncio import Redis

from channels.conversation import Conversation
from channels.push import Pushes
from channels.smpp.names import ServiceOp, Status
from channels.ussd.outbound import NotPushed, Tools
from channels.ussd.restcomm.outbound import Outbound as Restcomm
from channels.ussd.smpp.outbound import Outbound as Smpp
from engine.api import Engine
from runtime.embedded.process import free_port
from runtime.keyring import Keyring
from settings import Operator
from tests.channels.phone import FACE_VALUE, MSISDN, Phone, Talk, money
from tests.channels.smpp.conftest import smsc
from tests.channels.ussd.smpp.conftest import Handset, operation, screen, session_info
from tests.doubles.smsc import Smsc
from tests.waiting import until

__all__ = ["smsc"]

STATES = ("recharge.number", "main_menu.home", "main_menu.goodbye")


@pytest.fixture
def tools(redis_client: Redis, keyring: Keyring, talk: Talk) -> Callable[..., Tools]:
    def make(conversation: Conversation | None = None, ended: list[str] | None = None) -> Tools:
        return Tools(
            redis=redis_client,
            keyring=keyring,
            turn=(conversation or talk()).turn,
            ended=(ended if ended is not None else []).append,
            service_code="123",
            deadline_seconds=5.0,
        )

    return make


# --- over SMPP ---


@pytest.fixture
async def pushing(smsc: Smsc, tools, talk: Talk) -> AsyncIterator[Pushes]:
    options = {"host": "127.0.0.1", "port": smsc.port, "system_id": "rasid", "password": "secret"}
    one = Smpp("centre", options, tools())
    await one.start()
    assert await one.bound(10)
    yield Pushes({"centre": one}, tools().turn, STATES)
    await one.close()


async def test_a_menu_that_nobody_dialled_is_answered_through_the_dialogs(
    *, smsc: Smsc, pushing: Pushes, engine: Engine, line: str, vouchers: list[str]
) -> None:
    await pushing.push(MSISDN, "recharge.number", uuid4())
    (shown,) = smsc.submitted
    assert operation(shown) == ServiceOp.USSR_REQUEST
    body = shown.body
    assert (body.source_addr, body.destination_addr, body.dest_addr_ton) == ("123", MSISDN[1:], 1)  # type: ignore[attr-defined]
    number, end = session_info(shown) or b""
    assert end == 0
    handset = Handset(smsc, session=number)
    await handset.say(vouchers[0])
    await handset.say("1")
    # What we began ends by a notify: there is no request of the person's to respond to.
    assert (operation(smsc.submitted[-1]), session_info(smsc.submitted[-1])) == (3, bytes([number, 1]))
    assert (await handset.deliver(handset.typed("", ServiceOp.USSN_CONFIRM))).status == 0
    assert await money(engine) == FACE_VALUE


async def test_a_screen_that_ends_at_once_is_a_notify(*, smsc: Smsc, pushing: Pushes, line: str) -> None:
    await pushing.push(MSISDN, "main_menu.goodbye", uuid4())
    (shown,) = smsc.submitted
    assert operation(shown) == ServiceOp.USSN_REQUEST
    assert screen(shown).startswith("Goodbye")


async def test_a_push_tried_again_is_the_same_session(
    *, smsc: Smsc, pushing: Pushes, engine: Engine, line: str, vouchers: list[str]
) -> None:
    push_id = uuid4()
    for _ in range(2):
        await pushing.push(MSISDN, "recharge.number", push_id)
    first, second = smsc.submitted
    assert screen(first) == screen(second)
    handset = Handset(smsc, session=(session_info(second) or b"")[0])
    await handset.say(vouchers[0])
    await handset.say("1")
    assert await money(engine) == FACE_VALUE


async def test_a_centre_that_refuses_has_shown_nothing(*, smsc: Smsc, pushing: Pushes, line: str) -> None:
    smsc.on_submit = lambda *_: Status.RINVDSTADR
    with pytest.raises(NotPushed) as refused:
        await pushing.push(MSISDN, "recharge.number", uuid4())
    assert (refused.value.reason, refused.value.unknown) == ("ESME_RINVDSTADR", False)


async def test_a_state_that_is_not_declared_is_refused_by_name(pushing: Pushes, smsc: Smsc) -> None:
    with pytest.raises(LookupError, match=re.escape("bundles.nowhere")):
        await pushing.push(MSISDN, "bundles.nowhere", uuid4())
    assert not smsc.submitted


async def test_who_cannot_be_served_is_told_nothing_unasked(smsc: Smsc, pushing: Pushes) -> None:
    with pytest.raises(NotPushed) as refused:
        await pushing.push(MSISDN, "recharge.number", uuid4())
    assert refused.value.reason == "notice.unknown_line"
    assert not smsc.submitted


async def test_without_a_gateway_nothing_is_pushed(tools) -> None:
    pushes = Pushes({"restcomm": Restcomm("restcomm", {}, tools())}, tools().turn, STATES)
    assert not pushes.possible
    with pytest.raises(NotPushed) as refused:
        await pushes.push(MSISDN, "recharge.number", uuid4())
    assert refused.value.reason == "no_gateway"


async def test_a_session_of_a_gateway_whose_id_begins_like_ours_is_its_own(talk: Talk, line: str) -> None:
    assert (await Phone(talk(), session_id=f"push-{'z' * 32}").dial()).label == "main_menu.home"


# --- to RestComm's gateway ---


@dataclass
class Gateway:
    """A double of RestComm's gateway: it answers each POST with what the person does, by the guide's own examples."""

    #: what the person types, screen by screen; an attribute of ``dialog`` with its value instead ends the dialogue
    person: list[str]
    status: int = 200
    seen: list[ET.Element] = field(default_factory=list)
    cookies: list[str | None] = field(default_factory=list)
    slow: float = 0.0

    async def push(self, request: web.Request) -> web.Response:
        self.seen.append(ET.fromstring(await request.read()))
        self.cookies.append(request.cookies.get("JSESSIONID"))
        await asyncio.sleep(self.slow)
        dialog = self.seen[-1]
        if self.status != 200:
            return web.Response(status=self.status)
        if not len(dialog):
            return web.Response(text="")
        response = web.Response(content_type="text/xml", text=self._answer(dialog[0].tag))
        if len(self.seen) == 1:
            response.set_cookie("JSESSIONID", "1379BF8A", path="/restcomm")
        return response

    def _answer(self, asked: str) -> str:
        head = '<?xml version="1.0" encoding="UTF-8" ?><dialog type="Continue" localId="12" remoteId="13" '
        if asked == "unstructuredSSNotify_Request":
            return f'{head}mapMessagesSize="1"><unstructuredSSRequest_Response invokeId="0"/></dialog>'
        if not self.person:
            return "<dialog"
        typed = self.person.pop(0)
        if "=" in typed:
            return f'{head}mapMessagesSize="0" {typed}><errComponents/></dialog>'
        answer = f'<unstructuredSSRequest_Response dataCodingScheme="15" string="{typed}"/>'
        return f'{head}mapMessagesSize="1">{answer}</dialog>'


@pytest.fixture
async def restcomm(tools) -> AsyncIterator[Callable]:
    servers: list[TestServer] = []
    made: list[Restcomm] = []

    async def make(gateway: Gateway, ended: list[str] | None = None, **options: int) -> Pushes:
        application = web.Application()
        application.add_routes([web.post("/restcomm", gateway.push)])
        server = TestServer(application)
        await server.start_server()
        servers.append(server)
        one = Restcomm("restcomm", {"push_url": str(server.make_url("/restcomm")), **options}, tools(ended=ended))
        made.append(one)
        return Pushes({"restcomm": one}, tools().turn, STATES)

    yield make
    for one in made:
        await one.close()
    for server in servers:
        await server.close()


async def test_restcomm_shows_a_menu_and_the_person_recharges(
    *, restcomm, engine: Engine, line: str, vouchers: list[str]
) -> None:
    gateway = Gateway([vouchers[0], "1"])
    await (await restcomm(gateway)).push(MSISDN, "recharge.number", uuid4())
    assert await money(engine) == FACE_VALUE
    asked = [dialog[0].tag if len(dialog) else "" for dialog in gateway.seen]
    assert asked == ["unstructuredSSRequest_Request"] * 2 + ["unstructuredSSNotify_Request", ""]
    first, *later = gateway.seen
    assert {name: first[0][0].get(name) for name in ("nai", "npi", "number")} == {
        "nai": "international_number",
        "npi": "ISDN",
        "number": MSISDN[1:],
    }
    # The number stands in the first message only; the cookie in all that follow.
    assert not any(dialog.findall(".//msisdn") for dialog in later)
    assert gateway.cookies == [None, "1379BF8A", "1379BF8A", "1379BF8A"]
    assert gateway.seen[-1].attrib == {"mapMessagesSize": "0", "prearrangedEnd": "false"}


async def test_restcomm_tells_what_needs_no_answer(*, restcomm, line: str) -> None:
    gateway = Gateway([])
    await (await restcomm(gateway)).push(MSISDN, "main_menu.goodbye", uuid4())
    told, released = gateway.seen
    assert (told[0].tag, told[0].get("string")) == ("unstructuredSSNotify_Request", "Goodbye.")
    assert not len(released)


async def test_restcomm_s_refusal_of_the_first_screen_is_told_and_a_later_one_ends_the_session(
    *, restcomm, line: str
) -> None:
    ended: list[str] = []
    with pytest.raises(NotPushed) as refused:
        await (await restcomm(Gateway(['mapRefuseReason="NoReasonGiven"']), ended)).push(
            MSISDN, "recharge.number", uuid4()
        )
    assert (refused.value.reason, ended) == ("refused", ["refused"])
    gateway = Gateway(["12", 'mapUserAbortChoice="isUserSpecificReason"'])
    await (await restcomm(gateway, ended)).push(MSISDN, "recharge.number", uuid4())
    assert ended == ["refused", "user_abort"]


async def test_restcomm_out_of_order_has_shown_nothing(*, restcomm, line: str) -> None:
    with pytest.raises(NotPushed) as refused:
        await (await restcomm(Gateway([], status=503))).push(MSISDN, "recharge.number", uuid4())
    assert (refused.value.reason, refused.value.unknown) == ("http_503", False)


async def test_restcomm_that_nobody_reaches_has_shown_nothing(tools, talk: Talk, line: str) -> None:
    conversation = talk()
    one = Restcomm("restcomm", {"push_url": f"http://127.0.0.1:{free_port()}/restcomm"}, tools(conversation))
    with pytest.raises(NotPushed) as refused:
        await Pushes({"restcomm": one}, conversation.turn, STATES).push(MSISDN, "recharge.number", uuid4())
    assert (refused.value.reason, refused.value.unknown) == ("ClientConnectorError", False)


async def test_restcomm_that_hangs_up_on_a_screen_may_have_shown_it_and_no_other_gateway_is_asked(
    *, restcomm, pushing: Pushes, smsc: Smsc, line: str
) -> None:
    broken = await restcomm(Gateway([]))  # nobody answers: the double breaks off
    both = Pushes({**broken._gateways, **pushing._gateways}, pushing._turn, STATES)
    with pytest.raises(NotPushed) as refused:
        await both.push(MSISDN, "recharge.number", uuid4())
    assert refused.value.unknown and not smsc.submitted


async def test_a_process_that_closes_lets_its_dialogues_go(*, restcomm, tools, line: str) -> None:
    gateway = Gateway(["1"], slow=30.0)
    pushes = await restcomm(gateway)
    pushed = asyncio.create_task(pushes.push(MSISDN, "recharge.number", uuid4()))
    await until(lambda: gateway.seen)
    (one,) = pushes._gateways.values()
    await one.close()
    with pytest.raises(NotPushed) as refused:
        await pushed
    assert refused.value.unknown


async def test_the_next_gateway_is_asked_where_the_first_shows_nothing(
    *, restcomm, pushing: Pushes, smsc: Smsc, line: str
) -> None:
    broken = await restcomm(Gateway([], status=503))
    both = Pushes({**broken._gateways, **pushing._gateways}, pushing._turn, STATES)
    await both.push(MSISDN, "recharge.number", uuid4())
    assert len(smsc.submitted) == 1


def test_the_states_of_these_tests_are_declared(operator: Operator, talk: Talk) -> None:
    declared = talk()._machine.states
    assert all(state in declared for state in STATES)
