"""What lines wish is obeyed at the claim: STOP, muting, quiet hours, caps; and what is urgent goes first."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from engine.api import Engine
from engine.words import Channel, Preferences, UnknownLine
from settings import Operator
from tests.engine.shop import next_msisdn

LOW = {"unit": "money", "left": 500, "threshold": 1000}


async def topics(engine: Engine) -> list[str]:
    return [message.topic for message in await engine.claim_messages(100, 60)]


def around_now(operator: Operator) -> tuple[time, time]:
    """Quiet hours that hold now and for some time to come, in the operator's zone."""
    local = datetime.now(UTC).astimezone(ZoneInfo(operator.timezone))
    return (local - timedelta(hours=1)).time(), (local + timedelta(hours=1)).time()


async def test_a_line_that_asked_for_nothing_wants_texts(engine: Engine, person) -> None:
    assert await engine.preferences(person) == Preferences()


async def test_what_is_not_mentioned_stays(engine: Engine, person) -> None:
    await engine.set_preferences(person, channel=Channel.TELEGRAM, quiet_hours=(time(22), time(6)))
    await engine.set_preferences(person, muted=["campaign"])
    assert await engine.opt_out(person.msisdn, True)
    kept = await engine.preferences(person)
    wanted = Preferences(channel=Channel.TELEGRAM, quiet_hours=(time(22), time(6)), muted=("campaign",), opted_out=True)
    assert kept == wanted
    assert (await engine.set_preferences(person, quiet_hours=None)).quiet_hours is None


async def test_stop_and_start_tell_whether_they_changed_anything(engine: Engine, person) -> None:
    assert [await engine.opt_out(person.msisdn, on) for on in (True, True, False, False)] == [True, False, True, False]
    with pytest.raises(UnknownLine):
        await engine.opt_out(next_msisdn(), True)


async def test_after_stop_only_answers_security_and_receipts_come(engine: Engine, person, tell, owner) -> None:
    await engine.opt_out(person.msisdn, True)
    for topic in ("alert.low_balance", "campaign", "reply", "security.pin_changed", "refund.done"):
        await tell(topic)
    assert set(await topics(engine)) == {"reply", "security.pin_changed", "refund.done"}
    dropped = owner.execute("SELECT topic, error FROM outbox WHERE state = 'dropped' ORDER BY topic").fetchall()
    assert dropped == [
        {"topic": "alert.low_balance", "error": "opted_out"},
        {"topic": "campaign", "error": "opted_out"},
    ]


async def test_quiet_hours_hold_a_message_back_without_counting_a_try(
    engine: Engine, operator: Operator, person, tell, owner
) -> None:
    await engine.set_preferences(person, quiet_hours=around_now(operator))
    await tell("alert.low_balance", **LOW)
    await tell("reply")
    assert await topics(engine) == ["reply"]
    held = owner.execute("SELECT attempts, due_at FROM outbox WHERE topic = 'alert.low_balance'").fetchone()
    assert held["attempts"] == 0
    assert timedelta(minutes=50) < held["due_at"] - datetime.now(UTC) <= timedelta(hours=1)


async def test_a_topic_is_heard_so_often_a_day_and_answers_always(
    engine: Engine, operator: Operator, tell, owner
) -> None:
    most = operator.notifications.per_day
    for _ in range(most + 2):
        await tell("alert.low_balance", **LOW)
        await tell("reply")
    first = await engine.claim_messages(3, 60)
    rest = await topics(engine)
    heard = [message.topic for message in first] + rest
    assert heard.count("alert.low_balance") == most
    assert heard.count("reply") == most + 2
    assert owner.execute("SELECT count(*) AS n FROM outbox WHERE error = 'often_enough'").fetchone() == {"n": 2}


async def test_a_retry_is_not_counted_again(engine: Engine, operator: Operator, tell, owner) -> None:
    await tell("alert.low_balance", **LOW)
    for _ in range(operator.notifications.per_day + 3):
        assert await topics(engine) == ["alert.low_balance"]
        owner.execute("UPDATE outbox SET due_at = now()")


async def test_answers_are_claimed_before_a_campaign_that_was_there_first(engine: Engine, tell) -> None:
    for _ in range(5):
        await tell("campaign", text="Offer")
    await tell("alert.low_balance", **LOW)
    await tell("reply")
    assert [message.topic for message in await engine.claim_messages(3, 60)] == [
        "reply", "alert.low_balance", "campaign",
    ]  # fmt: skip


async def test_an_update_is_taken_once(engine: Engine) -> None:
    assert [await engine.first_time("telegram", "81") for _ in range(2)] == [True, False]
    assert await engine.first_time("whatsapp", "81")


async def test_what_was_to_be_remembered_for_a_while_is_forgotten(engine: Engine, owner) -> None:
    await engine.first_time("telegram", "81")
    assert await engine.tidy() == 0
    owner.execute("UPDATE seen_update SET seen_at = now() - interval '4 days'")
    assert await engine.tidy() == 1
    assert await engine.first_time("telegram", "81")
