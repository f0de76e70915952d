"""``manage.py line`` does for fixed lines what it does for mobile ones."""

from __future__ import annotations

from collections.abc import Callable

from tests.commands.conftest import Program

FIXED, MOBILE = "+254202222222", "+254712345001"


def test_a_fixed_line_is_looked_after_like_any_other(manage: Callable[..., str], program: Program) -> None:
    manage("line", "add", FIXED, "--fixed", "--postpaid", "--status", "active")
    manage("line", "limit", FIXED, "500", "--ticket", "T1", "--reason", "asked for it")
    manage("line", "adjust", FIXED, "12.50", "--ticket", "T2", "--reason", "credited by mistake")
    assert "12.50 KES" in manage("line", "show", "020 2222222")
    assert "suspended" in manage("line", "status", FIXED, "suspended", "--reason", "unpaid")
    assert "0 bills for 2026-01" in manage("bill", "make", "2026-01")
    manage("bill", "list", FIXED)
    assert "12.50 KES" in manage("ledger", "statement", FIXED)
    assert "erased" in manage("line", "erase", FIXED, say="y\n")
    assert program("line", "show", FIXED).exit_code == 2


def test_a_mobile_number_opens_no_fixed_line(program: Program) -> None:
    done = program("line", "add", MOBILE, "--fixed")
    assert done.exit_code == 2 and "no number of this operator" in done.output
