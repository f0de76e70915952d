"""Names, passwords, one-time codes, and when one person is enough."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pyotp
import pytest
from hypothesis import given, strategies as st

from engine.staff.request_rules import check_wanted, is_enough_alone
from engine.staff.rules import (
    STEP_SECONDS,
    accepted_step,
    check_name,
    check_password,
    fresh_secret,
)
from engine.words import (
    MAY_ASK,
    MAY_DECIDE,
    BadRequest,
    BadStaff,
    LineRef,
    LineStatus,
    RequestDraft,
    RequestKind,
    Role,
    Unit,
)
from settings import StaffRules

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
LINE = LineRef(1, UUID(int=1), UUID(int=2))
RULES = StaffRules(alone={"money": 1_000}, always_two=("status",))


@pytest.mark.parametrize("name", ["", "a", "Alice", "1alice", "al ice", "a" * 33, "alice\n", "علي"])
def test_a_name_that_could_be_taken_for_another_is_refused(name: str) -> None:
    with pytest.raises(BadStaff, match="name"):
        check_name(name.replace("\n", "\nx"))


@pytest.mark.parametrize("password", ["short", "x" * 129, "alice-alice-1", "aaaaaaaaaaaaaaa", "abababababababab"])
def test_a_guessable_password_is_refused(password: str) -> None:
    with pytest.raises(BadStaff, match="password"):
        check_password(password, "alice")


@given(st.integers(min_value=-5, max_value=5))
def test_a_code_is_taken_one_step_before_and_after_its_own_and_no_further(off: int) -> None:
    secret = fresh_secret()
    code = pyotp.TOTP(secret).at(NOW + timedelta(seconds=STEP_SECONDS * off))
    found = accepted_step(secret, code, NOW, 0)
    now = int(NOW.timestamp()) // STEP_SECONDS
    if abs(off) <= 1:
        assert found == now + off
    else:  # or the same six digits by chance
        assert found is None or abs(found - now) <= 1


def test_a_code_is_good_once_and_no_earlier_one_after_it() -> None:
    secret = fresh_secret()
    now = int(NOW.timestamp()) // STEP_SECONDS
    code, before = (pyotp.TOTP(secret).at(step * STEP_SECONDS) for step in (now, now - 1))
    assert accepted_step(secret, code, NOW, now) is None
    assert before == code or accepted_step(secret, before, NOW, now) is None


@pytest.mark.parametrize("code", ["", "abcdef", "١٢٣٤٥٦", "12345", "1234567", "123456 OR 1=1"])
def test_what_is_no_code_is_refused(code: str) -> None:
    assert accepted_step(fresh_secret(), code, NOW, 0) is None


@given(
    st.lists(st.integers(min_value=-2_000, max_value=2_000).filter(bool), min_size=1, max_size=30),
)
def test_many_small_corrections_never_move_more_alone_than_one_may(amounts: list[int]) -> None:
    moved = 0
    for amount in amounts:
        if is_enough_alone(RequestDraft(RequestKind.ADJUST, LINE, Unit.MONEY, amount), moved, RULES):
            moved += abs(amount)
    assert moved <= 1_000


def test_a_unit_without_a_limit_always_needs_a_second_person() -> None:
    assert not is_enough_alone(RequestDraft(RequestKind.ADJUST, LINE, Unit.OCTETS, 1), 0, RULES)


def test_what_moves_nothing_needs_a_second_person_where_the_operator_says_so() -> None:
    assert not is_enough_alone(RequestDraft(RequestKind.STATUS, LINE, status=LineStatus.BARRED), 0, RULES)
    assert is_enough_alone(RequestDraft(RequestKind.UNLOCK, LINE), 0, RULES)


@pytest.mark.parametrize("kind", list(RequestKind))
def test_an_auditor_asks_for_nothing_and_decides_nothing(kind: RequestKind) -> None:
    assert Role.AUDITOR not in MAY_ASK[kind] and Role.AUDITOR not in MAY_DECIDE


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (RequestDraft(RequestKind.ADJUST, LINE, Unit.MONEY, 0), "amount"),
        (RequestDraft(RequestKind.ADJUST, LINE, Unit.MONEY, 10**16), "amount"),
        (RequestDraft(RequestKind.ADJUST, LINE, None, 5), "amount"),
        (RequestDraft(RequestKind.STATUS, LINE, status=LineStatus.TERMINATED), "status"),
        (RequestDraft(RequestKind.STATUS, LINE), "status"),
        (RequestDraft(RequestKind.REFUND, LINE), "subject"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(wanted: RequestDraft, reason: str) -> None:
    with pytest.raises(BadRequest) as refused:
        check_wanted(wanted, Role.ADMIN, "a reason")
    assert refused.value.args == (reason,)


@pytest.mark.parametrize("why", ["", "  ", "ab", " x ", "x" * 501])
def test_nothing_is_done_without_a_reason(why: str) -> None:
    with pytest.raises(BadRequest, match="why"):
        check_wanted(RequestDraft(RequestKind.UNLOCK, LINE), Role.ADMIN, why)
