"""Which vouchers may be redeemed, what a recharge changes, and which refusals count as guesses: pure decisions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from engine.balances.rules import promised_end
from engine.books.case import Case
from engine.books.facts import LineFacts, Transfer, VoucherFacts
from engine.books.tables import Ledger
from engine.recharge.rules import count_wrong_number
from engine.recharge.tables import BatchState, VoucherState
from engine.words import Answer, Code, LineStatus, Recharge, Unit, VoucherToken
from settings import Operator, VoucherRules
from tests.engine.deciding import ACCOUNT, LINE, MOMENT, NOW, asked, decided, known

FRESH = LineFacts(LINE, LineStatus.ACTIVE, 0, None, None)
STRANGER = UUID(int=9)


@dataclass
class Counter:
    """A line with a voucher in its hand."""

    operator: Operator
    line: LineFacts = FRESH
    cases: list[Case] = field(default_factory=list)

    def redeem(self, **voucher: Any) -> Answer:
        """Redeem a good voucher, but for what is said of it; ``none=True``: a number that is none."""
        found = VoucherFacts(
            shard=0, digest=b"d", state=VoucherState.UNUSED, batch_state=BatchState.ACTIVE, face_value=5_000,
            currency="KES", validity_days=90, expires_at=NOW + MOMENT, redeemed_account=None,
        )  # fmt: skip
        facts = known(line=self.line, voucher=None if voucher.pop("none", False) else found._replace(**voucher))
        case, answer = decided(self.operator, asked(Recharge, voucher=VoucherToken((b"d",), "1234")), facts)
        self.cases.append(case)
        return answer

    @property
    def failures(self) -> int:
        """Wrong numbers that the line is charged with after the last try."""
        return (self.cases[-1].line or self.line).voucher_failures


@pytest.fixture
def counter(operator: Operator) -> Counter:
    return Counter(operator)


REFUSED: list[tuple[dict[str, Any], Code]] = [
    ({"none": True}, Code.VOUCHER_UNKNOWN),
    ({"currency": "USD"}, Code.VOUCHER_UNKNOWN),
    ({"state": VoucherState.REDEEMED, "redeemed_account": STRANGER}, Code.VOUCHER_REDEEMED),
    (
        {"state": VoucherState.REDEEMED, "redeemed_account": STRANGER, "batch_state": BatchState.RECALLED},
        Code.VOUCHER_REDEEMED,
    ),
    ({"batch_state": BatchState.RECALLED}, Code.VOUCHER_RECALLED),
    ({"state": VoucherState.BLOCKED}, Code.VOUCHER_BLOCKED),
    *(
        ({"batch_state": state}, Code.VOUCHER_BLOCKED)
        for state in (BatchState.CREATED, BatchState.PRINTED, BatchState.SHIPPED, BatchState.BLOCKED)
    ),
    ({"expires_at": NOW}, Code.VOUCHER_EXPIRED),
]


@pytest.mark.parametrize(("voucher", "code"), REFUSED)
def test_a_voucher_that_is_not_good_is_refused_for_its_own_reason_and_counts_as_a_guess(
    counter: Counter, voucher: dict[str, Any], code: Code
) -> None:
    assert counter.redeem(**voucher).code == code
    assert counter.failures == 1


def test_ones_own_redeemed_voucher_is_no_guess(counter: Counter) -> None:
    again = counter.redeem(state=VoucherState.REDEEMED, redeemed_account=ACCOUNT.account_id)
    assert (again.code, counter.failures) == (Code.VOUCHER_REDEEMED, 0)


def test_a_lock_holds_until_its_end_and_trying_meanwhile_does_not_prolong_it(counter: Counter) -> None:
    counter.line = counter.line._replace(voucher_failures=5, voucher_locked_until=NOW + MOMENT)
    refused = counter.redeem()
    assert (refused.code, counter.failures, counter.cases[-1].line) == (Code.VOUCHER_LOCKED, 5, None)
    counter.line = counter.line._replace(voucher_locked_until=NOW)
    assert counter.redeem().ok
    assert counter.failures == 0


def test_a_recharge_keeps_what_was_promised_when_the_voucher_was_made(counter: Counter) -> None:
    answer = counter.redeem(validity_days=10)
    end = promised_end(NOW, 10, counter.operator.timezone)
    assert answer.details == {"amount": 5_000, "balance": 5_000, "expires_at": end.isoformat()}
    (bucket,) = counter.cases[-1].opened.values()
    assert bucket.expires_at == end
    assert counter.cases[-1].transfers == [
        Transfer(Ledger.VOUCHERS, Ledger.BALANCE, Unit.MONEY, 5_000, bucket.bucket_id)
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (LineStatus.PREACTIVE, LineStatus.ACTIVE),
        (LineStatus.SUSPENDED, LineStatus.SUSPENDED),
        (LineStatus.BARRED, LineStatus.BARRED),
    ],
)
def test_a_recharge_wakes_a_new_line_and_no_other(counter: Counter, before: LineStatus, after: LineStatus) -> None:
    counter.line = counter.line._replace(status=before, voucher_failures=2, voucher_window_from=NOW)
    assert counter.redeem().ok
    line = counter.cases[-1].line
    assert line is not None
    assert (line.status, line.voucher_failures, line.voucher_window_from) == (after, 0, None)


def test_a_line_that_is_gone_takes_no_recharge(counter: Counter) -> None:
    counter.line = counter.line._replace(status=LineStatus.TERMINATED)
    assert counter.redeem().code == Code.LINE_TERMINATED


def test_each_wrong_number_beyond_the_free_ones_doubles_the_lock_up_to_a_day() -> None:
    line, locks = FRESH, []
    for minute in range(12):
        line = count_wrong_number(line, NOW + timedelta(minutes=minute), VoucherRules(free_tries=3, lock_minutes=15))
        until = line.voucher_locked_until
        locks.append(None if until is None else (until - NOW) // timedelta(minutes=1) - minute)
    assert locks == [None, None, 15, 30, 60, 120, 240, 480, 960, 1440, 1440, 1440]


def test_the_window_of_free_tries_begins_with_the_first_of_them() -> None:
    rules = VoucherRules(free_tries=3, window_hours=2)
    line = FRESH
    for hour, failures in ((0, 1), (1, 2), (2, 1), (3, 2)):
        line = count_wrong_number(line, NOW + timedelta(hours=hour), rules)
        assert line.voucher_failures == failures
