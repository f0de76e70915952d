"""What a request says counts, not how it came: over another agent, or in several parts."""

from __future__ import annotations

import pytest
from diameter.message import Message, constants as names
from diameter.message.avp.grouped import (
    MultipleServicesCreditControl,
    RequestedServiceUnit,
    SubscriptionId,
    UsedServiceUnit,
)

from engine.words import Subscriber
from settings import DiameterSettings
from tests.network.diameter.conftest import MB, House
from tests.network.diameter.wire import Wire, result


@pytest.fixture
def diameter_settings(diameter_settings: DiameterSettings) -> DiameterSettings:
    """Every agent of this machine is a peer."""
    (peer,) = diameter_settings.peers.values()
    return diameter_settings.model_copy(update={"peers": {"*": peer}})


def of(line: Subscriber, *services: MultipleServicesCreditControl) -> dict[str, object]:
    who = [SubscriptionId(subscription_id_type=0, subscription_id_data=line.msisdn.removeprefix("+"))]
    return {"subscription_id": who, "multiple_services_credit_control": list(services)}


def used(octets: int, *, asks: bool = False, service: int | None = None) -> MultipleServicesCreditControl:
    told = MultipleServicesCreditControl(rating_group=10, used_service_unit=[UsedServiceUnit(cc_total_octets=octets)])
    if asks:
        told.requested_service_unit = RequestedServiceUnit()
    if service is not None:
        told.service_identifier = [service]
    return told


def said(answer: Message) -> bytes:
    return b"".join(one.as_bytes() for one in answer.avps)


async def test_a_request_that_is_sent_again_over_another_agent_gets_the_stored_answer(
    house: House, line: Subscriber
) -> None:
    answers = []
    for agent in (b"dra1.test.example", b"dra2.test.example"):
        wire = Wire()
        await wire.open(house.port)
        assert result(await wire.introduce(agent)) == 2001
        asked = wire.made(kind=2, **of(line, used(3 * MB, asks=True)))
        asked.header.is_retransmit = bool(answers)
        answers.append(await wire.ask(asked.as_bytes()))
        wire.close()
    assert [result(answer) for answer in answers] == [2001, 2001]
    assert said(answers[0]) == said(answers[1])
    assert await house.left(line) == 97 * MB


async def test_services_of_one_rating_group_are_charged_together_and_the_one_that_asks_gets_the_quota(
    house: House, line: Subscriber
) -> None:
    wire = Wire()
    await wire.open(house.port)
    await wire.introduce()
    asked = wire.made(kind=2, **of(line, used(MB, service=1), used(2 * MB, asks=True, service=2), used(3 * MB)))
    answer = await wire.ask(asked.as_bytes())
    wire.close()
    groups = answer.find_avps((names.AVP_MULTIPLE_SERVICES_CREDIT_CONTROL, 0))
    told = [{one.code: one.value for one in group.value} for group in groups]
    assert [one.get(names.AVP_SERVICE_IDENTIFIER) for one in told] == [1, 2, None]
    assert [one[names.AVP_RESULT_CODE] for one in told] == [2001] * 3
    assert [names.AVP_GRANTED_SERVICE_UNIT in one for one in told] == [False, True, False]
    assert await house.left(line) == 94 * MB
