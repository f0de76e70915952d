"""Who is told what and when: quiet hours on the wall clock, STOP, muting."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from dialogs.messages import TOPICS
from engine.notices.rules import GOES, Gate, Priority, forward, gate, held_for_answer, policy, quiet_until
from engine.words import DeliveryState, Preferences
from settings import Notifications

NAIROBI = ZoneInfo("Africa/Nairobi")
NIGHT = Notifications(quiet_from=time(21), quiet_to=time(7))
#: 23:00 in Nairobi
LATE = datetime(2026, 12, 1, 20, tzinfo=UTC)
MORNING = datetime(2026, 12, 2, 4, tzinfo=UTC)
NOTHING = Preferences()
FREE = Notifications()
#: receipts of what a person does in a dialog, which says the same
ANSWERED = ("recharge.done", "purchase.done", "gift.sent", "gift.undone", "advance.done")


@pytest.mark.parametrize(
    "topic", ["reply", "security.pin_changed", "recharge.done", "refund.done", "alert.low_balance"]
)
def test_the_operators_night_does_not_hold_what_is_urgent_or_true_now(topic: str) -> None:
    assert gate(topic, NOTHING, NIGHT, LATE, NAIROBI) == GOES


@pytest.mark.parametrize("topic", ["campaign", "alert.expiring", "alert.expired", "renewal.done", "bill.issued"])
def test_what_can_wait_waits_for_the_operators_morning(topic: str) -> None:
    assert gate(topic, NOTHING, NIGHT, LATE, NAIROBI) == Gate(until=MORNING)


def test_a_persons_own_night_holds_a_low_balance_but_no_answer() -> None:
    own = Preferences(quiet_hours=(time(22), time(6)))
    assert gate("alert.low_balance", own, FREE, LATE, NAIROBI) == Gate(until=datetime(2026, 12, 2, 3, tzinfo=UTC))
    assert gate("reply", own, NIGHT, LATE, NAIROBI) == GOES


@pytest.mark.parametrize("topic", list(TOPICS))
def test_stop_keeps_back_all_but_answers_security_and_receipts(topic: str) -> None:
    stopped = gate(topic, Preferences(opted_out=True), FREE, LATE, NAIROBI).dropped == "opted_out"
    assert stopped is (topic == "campaign" or topic.startswith("alert."))


@pytest.mark.parametrize(("muted", "topic", "dropped"), [
    (("campaign",), "campaign", "muted"),
    (("alert",), "alert.low_balance", "muted"),
    (("alert.expiring",), "alert.expiring", "muted"),
    (("alert.expiring",), "alert.expired", None),
    (("reply", "security"), "security.pin_locked", None),
])  # fmt: skip
def test_muting_takes_a_topic_or_a_kind_and_never_answers_or_security(
    muted: tuple[str, ...], topic: str, dropped: str | None
) -> None:
    assert gate(topic, Preferences(muted=muted), FREE, LATE, NAIROBI).dropped == dropped


def test_two_quiet_spans_that_follow_each_other_are_one() -> None:
    spans = [(time(21), time(1)), (time(1), time(7))]
    assert quiet_until(spans, LATE, NAIROBI) == MORNING


@given(
    st.times(timezones=st.none()),
    st.times(timezones=st.none()),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)),  # noqa: DTZ001 - hypothesis wants them bare
    st.sampled_from(["Africa/Nairobi", "Europe/Berlin", "Asia/Qatar", "America/Sao_Paulo"]),
)
def test_a_wait_ends_outside_the_quiet_hours_and_within_a_day(
    start: time, end: time, moment: datetime, zone_name: str
) -> None:
    zone, now = ZoneInfo(zone_name), moment.replace(tzinfo=UTC)
    until = quiet_until([(start, end)], now, zone)
    local = now.astimezone(zone).time()
    within = start <= local < end if start < end else start != end and (local >= start or local < end)
    assert (until is not None) is within
    if until is not None:
        # A day on which the clocks go back has 25 hours.
        assert now < until <= now + timedelta(hours=25)
        assert until.astimezone(zone).time() >= end or start > end


def test_a_campaign_never_stands_before_an_answer() -> None:
    assert policy("reply").priority == policy("security.link_code").priority == Priority.URGENT
    assert policy("campaign").priority == max(Priority)


def test_money_is_never_told_twice_blindly() -> None:
    assert [topic for topic in TOPICS if policy(topic).repeatable] == [
        topic for topic in TOPICS if topic == "reply" or topic.startswith(("security.", "alarm."))
    ]


def test_states_only_move_up_in_rank() -> None:
    final = [state for state in DeliveryState if state.rank == 2]
    assert forward(DeliveryState.QUEUED, DeliveryState.SENT)
    assert all(forward(DeliveryState.SENT, state) for state in final)
    assert not any(forward(one, other) for one in final for other in DeliveryState)


@pytest.mark.parametrize("source", ["sms:twilio", "chat:telegram"])
@pytest.mark.parametrize("topic", ANSWERED)
def test_a_receipt_of_what_was_asked_by_text_or_chat_waits_for_its_answer(topic: str, source: str) -> None:
    assert held_for_answer(topic, source) is not None


@pytest.mark.parametrize("source", ["ussd:africastalking", "system:expiry", "console:alice", "smsx:y", ""])
def test_a_receipt_of_what_was_asked_elsewhere_waits_for_nothing(source: str) -> None:
    assert held_for_answer("recharge.done", source) is None


@pytest.mark.parametrize("topic", [topic for topic in TOPICS if topic not in ANSWERED])
def test_what_no_answer_says_waits_for_none(topic: str) -> None:
    assert held_for_answer(topic, "sms:twilio") is None
