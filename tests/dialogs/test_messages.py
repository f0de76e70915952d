"""Messages from the outbox: each topic in each language, one SMS where it can be."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from channels.layout import septets, transliterate, units
from dialogs.messages import TOPICS, render_message
from dialogs.notices import Notices
from dialogs.refusals import DECLINED
from dialogs.texts import Texts
from engine.words import Message
from settings import Operator

AT = "2026-12-01T21:00:00+00:00"
BODIES: dict[str, dict[str, Any]] = {
    "recharge.done": {"amount": 50_000, "balance": 123_450, "expires_at": AT, "reference": "7F3K2M"},
    "purchase.done": {
        "product": "combo_week", "price": 30_000, "balance": 10_000, "expires_at": AT, "reference": "7F3K2M",
    },
    "payment.done": {"amount": 10_000, "balance": 1_234_567, "reference": "7F3K2M"},
    "payment.reversed": {"amount": 10_000, "balance": 1_234_567, "reference": "7F3K2M"},
    "payment.part_returned": {"amount": 10_000, "balance": 1_234_567, "reference": "7F3K2M"},
    "payment.declined": {"amount": 10_000, "currency": "KES", "reference": "7F3K2M", "reason": "funds"},
    "payment.action": {
        "amount": 10_000,
        "currency": "KES",
        "reference": "7F3K2M",
        "url": "https://bank.example/3ds/Zm9yIHRoZSBwYXllcg",
    },
    "refund.done": {"amount": 30_000, "unit": "money", "balance": 40_000, "reference": "7F3K2M"},
    "alert.low_balance": {"unit": "octets", "left": 19_999_999, "threshold": 20_000_000},
    "alert.expired": {"unit": "octets", "amount": 1_000_000, "product": "data_week_1gb"},
    "alert.expiring": {"unit": "octets", "left": 999_999_999, "product": "data_week_1gb", "expires_at": AT},
    "alert.cap_reached": {"unit": "money", "cap": 1_000_000},
    "gift.sent": {"unit": "money", "amount": 500, "number": "0712...001", "balance": 9_450, "reference": "7F3K2M"},
    "gift.received": {"unit": "money", "amount": 500, "number": "0712...001", "balance": 9_450, "reference": "7F3K2M"},
    "bill.issued": {"number": "202611-0F3A9B12CD", "amount": 1_234_567, "due_at": AT},
    "gift.undone": {"unit": "money", "amount": 500, "balance": 9_450, "reference": "7F3K2M"},
    "gift.taken_back": {"unit": "money", "amount": 500, "balance": 9_450, "reference": "7F3K2M"},
    "advance.done": {"amount": 5_000, "fee": 500, "owed": 5_500, "balance": 5_012, "reference": "7F3K2M"},
    "advance.recovered": {"amount": 5_000, "owed": 500},
    "alert.used_share": {"unit": "octets", "product": "data_week_1gb", "share": 80, "left": 199_999_999},
    "alert.unusual_use": {"unit": "octets", "used": 999_999_999, "usual": 20_000_000},
    "alert.rolled_over": {"unit": "octets", "amount": 999_999_999, "product": "data_week_1gb", "expires_at": AT},
    "renewal.notice": {"product": "combo_week", "price": 30_000, "expires_at": AT},
    "renewal.done": {"product": "combo_week", "price": 30_000, "expires_at": AT, "reference": "7F3K2M"},
    "renewal.failed": {"product": "combo_week", "price": 30_000, "missing": 12_345},
    "security.pin_changed": {},
    "security.pin_removed": {},
    "security.pin_locked": {"locked_until": AT},
    "security.chat_linked": {"app": "telegram"},
    "security.link_code": {"code": "012345"},
    "security.sign_in_code": {"code": "012345"},
    "security.erasure_code": {"code": "012345"},
    "reply": {"text": "Balance KES 12.00"},
    "campaign": {"text": "Weekend offer"},
    "alarm.voucher_guessing": {"tries": 200, "minutes": 5},
}  # fmt: skip


def message(topic: str, language: str, **body: Any) -> Message:
    return Message(
        shard=1,
        message_id=uuid4(),
        msisdn="+254712345001",
        language=language,
        currency="KES",
        topic=topic,
        body={**BODIES[topic], **body},
        created_at=datetime.now(UTC),
        attempts=0,
    )


@pytest.fixture(scope="module")
def every() -> Texts:
    return Texts(("en", "fr", "sw", "ar", "pt", "ha"), "Africa/Nairobi")


@pytest.mark.parametrize("topic", list(TOPICS))
@pytest.mark.parametrize("language", ["en", "fr", "sw", "ar", "pt", "ha"])
def test_every_message_is_one_sms_in_every_language(
    every: Texts, operator: Operator, topic: str, language: str
) -> None:
    said = render_message(message(topic, language), every, operator)
    in_septets = septets(transliterate(said))
    assert in_septets <= 160 if in_septets is not None else units(said) <= 70
    assert "{" not in said


def test_a_message_says_amounts_products_and_the_last_day(every: Texts, operator: Operator) -> None:
    said = render_message(message("purchase.done", "en"), every, operator)
    assert said == "Combo week bought for KES 300.00, until 01/12/2026. Balance KES 100.00. Ref 7F3K2M"


def test_what_never_ends_names_no_day(every: Texts, operator: Operator) -> None:
    said = render_message(message("recharge.done", "en", expires_at=None), every, operator)
    assert said == "Recharged KES 500.00. Balance KES 1,234.50. Ref 7F3K2M"


def test_airtime_that_expired_is_called_by_its_name(every: Texts, operator: Operator) -> None:
    said = render_message(message("alert.expired", "fr", product="airtime", unit="money"), every, operator)
    assert said.startswith("Crédit d'appel a expiré")


@pytest.mark.parametrize("language", ["en", "fr", "sw", "ar", "pt", "ha"])
@pytest.mark.parametrize("why", [{}, {"limited": True}])
def test_what_was_not_renewed_for_another_reason_than_money_is_said_so_and_not_that_nothing_is_missing(
    every: Texts, operator: Operator, language: str, why: dict[str, bool]
) -> None:
    said = render_message(message("renewal.failed", language, missing=0, **why), every, operator)
    others = [message("renewal.failed", language), message("renewal.failed", language, missing=0, limited=not why)]
    assert "*123#" in said
    assert said not in [render_message(one, every, operator) for one in others]
    in_septets = septets(transliterate(said))
    assert in_septets <= 160 if in_septets is not None else units(said) <= 70


@pytest.mark.parametrize("reason", [*DECLINED, "line_closed"])
@pytest.mark.parametrize("language", ["en", "fr", "sw", "ar", "pt", "ha"])
def test_a_payment_that_did_not_go_through_is_told_with_the_reason_if_one_is_known(
    every: Texts, operator: Operator, language: str, reason: str
) -> None:
    said = render_message(message("payment.declined", language, reason=reason), every, operator)
    assert (every.say(language, DECLINED.get(reason, DECLINED["other"])) in said) is (
        reason not in ("other", "line_closed")
    )
    assert "7F3K2M" in said
    in_septets = septets(transliterate(said))
    assert in_septets <= 160 if in_septets is not None else units(said) <= 70


def test_a_language_not_offered_falls_back_to_the_default(operator: Operator) -> None:
    texts = Texts(operator.languages, operator.timezone)
    assert render_message(message("refund.done", "fr"), texts, operator).startswith("Refunded")


def test_a_topic_that_nobody_declared_is_an_error(every: Texts, operator: Operator) -> None:
    unknown = Message(
        **{**{f: getattr(message("refund.done", "en"), f) for f in Message.__struct_fields__}, "topic": "x"}
    )
    with pytest.raises(KeyError):
        render_message(unknown, every, operator)


def test_notices_end_the_session_in_the_language_asked_for_or_the_default(every: Texts, operator: Operator) -> None:
    notices = Notices(every, operator)
    assert notices.screen("session_lost").text == "Your session has ended. Please dial *123# again."
    assert notices.screen("session_lost", "sw").text == "Muda wako umekwisha. Tafadhali piga *123# tena."
    assert notices.screen("unknown_line", "xx").text == "Your number is not known here. Help: 100"
    assert all(notices.screen(name).ends for name in notices.names())
