"""Gifts: who may give how much to whom, what it costs, and when it comes back. Pure decisions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from engine.balances.facts import GivenFacts
from engine.balances.rules import promised_end
from engine.balances.tables import AIRTIME
from engine.books.decisions import Decided
from engine.books.facts import Facts, LineFacts, OriginalFacts, Transfer as Moved
from engine.books.tables import Ledger
from engine.usage.meters import day_of
from engine.words import AccountRef, Bucket, Code, LineStatus, Transfer, Undo, Unit
from settings import Operator, TransferRules
from tests.engine.deciding import LINE, MOMENT, NOW, asked, decided, held, known

GIFTS = TransferRules(
    unit="money", least=100, most=1_000, per_day=2, most_per_day=1_500, fee=3, fee_percent=1, undo_minutes=10
)


@pytest.fixture
def shop(operator: Operator) -> Operator:
    return operator.model_copy(update={"transfers": (GIFTS,)})


def airtime(amount: int, **more: Any) -> Bucket:
    return held(Unit.MONEY, amount, product=AIRTIME, **more)


RECEIVER = AccountRef(0, UUID(int=7))


def give(operator: Operator, amount: int = 250, fee: int = 6, other: Facts | None = None, **more: Any) -> Decided:
    gift = asked(
        Transfer, unit=Unit.MONEY, amount=amount, fee=fee, receiver=RECEIVER, receiver_line=UUID(int=8),
        sender_shown="0712...1", receiver_shown="0712...2",
    )  # fmt: skip
    return decided(operator, gift, known(airtime(5_000), **more), other or known())


def test_a_gifts_fee_is_its_fixed_part_and_a_share_that_is_rounded_up(shop: Operator) -> None:
    # 1 percent of 250 are 3 when rounded up.
    assert give(shop).answer.ok
    assert give(shop, fee=5).answer.code == Code.FEE_CHANGED


@pytest.mark.parametrize(
    ("amount", "code"), [(99, Code.AMOUNT_INVALID), (100, Code.OK), (1_000, Code.OK), (1_001, Code.AMOUNT_INVALID)]
)
def test_a_gift_lies_within_its_bounds(shop: Operator, amount: int, code: Code) -> None:
    assert give(shop, amount, fee=3 - (-amount // 100)).answer.code == code


@pytest.mark.parametrize(
    ("earlier", "code"),
    [
        ([(0, 1_250)], Code.OK),
        ([(0, 1_251)], Code.TRANSFER_LIMIT),
        ([(0, 1), (0, 1)], Code.TRANSFER_LIMIT),
        ([(0, 1), (1, 1)], Code.OK),
        ([(1, 1_500)], Code.OK),
    ],
)
def test_a_day_has_so_many_gifts_and_so_much_and_yesterdays_do_not_count(
    shop: Operator, earlier: list[tuple[int, int]], code: Code
) -> None:
    today = day_of(NOW, shop.timezone)
    given = [GivenFacts(today - MOMENT if days else today, amount) for days, amount in earlier]
    assert give(shop, given=given).answer.code == code


@pytest.mark.parametrize(
    ("receiver", "code"),
    [
        (known(), Code.OK),
        (known(line=LineFacts(LINE, LineStatus.PREACTIVE, 0, None, None)), Code.OK),
        (known(line=LineFacts(LINE, LineStatus.SUSPENDED, 0, None, None)), Code.OK),
        (known(line=LineFacts(LINE, LineStatus.BARRED, 0, None, None)), Code.RECEIVER_UNKNOWN),
        (known(line=LineFacts(LINE, LineStatus.TERMINATED, 0, None, None)), Code.RECEIVER_UNKNOWN),
        (known(line=None), Code.RECEIVER_UNKNOWN),
        (known(currency="USD"), Code.RECEIVER_UNKNOWN),
    ],
)
def test_a_gift_goes_to_a_line_of_the_same_money_that_may_receive(shop: Operator, receiver: Facts, code: Code) -> None:
    assert give(shop, other=receiver).answer.code == code


def undo(operator: Operator, theirs: Bucket, mine: Bucket, *, age: timedelta = timedelta()) -> Decided:
    back = asked(Undo, undone_key=UUID(int=4), receiver=RECEIVER, receiver_line=UUID(int=8))

    def original(kind: str, debit: Ledger, credit: Ledger, bucket: Bucket) -> OriginalFacts:
        moved = (Moved(debit, credit, Unit.MONEY, 250, bucket.bucket_id),)
        return OriginalFacts(kind, Code.OK, moved, already_reversed=False, booked_at=NOW - age, details={})

    given = original("transfer", Ledger.BALANCE, Ledger.CLEARING, mine)
    got = original("received", Ledger.CLEARING, Ledger.BALANCE, theirs)
    return decided(operator, back, known(mine, original=given), known(theirs, original=got))


def test_a_gift_comes_back_until_its_minutes_are_over(shop: Operator) -> None:
    theirs, mine = held(Unit.MONEY, 250, product="gift"), airtime(0)
    assert undo(shop, theirs, mine, age=timedelta(minutes=10)).answer.ok
    late = undo(shop, theirs, mine, age=timedelta(minutes=10) + MOMENT)
    assert late.answer.code == Code.UNDO_TOO_LATE


def test_a_gift_of_which_a_session_holds_some_stays(shop: Operator) -> None:
    theirs = held(Unit.MONEY, 250, product="gift", reserved=1)
    assert undo(shop, theirs, airtime(0)).answer.code == Code.GRANT_USED


def test_what_comes_back_into_a_bucket_that_is_over_can_be_used_until_midnight(shop: Operator) -> None:
    mine = airtime(0, expires_at=NOW)
    case, _ = undo(shop, held(Unit.MONEY, 250, product="gift"), mine)
    assert (case.total(Unit.MONEY), case.end(mine)) == (250, promised_end(NOW, 0, shop.timezone))
