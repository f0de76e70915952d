"""A discrepancy has an owner, a state, a reason and an end, and every change of it says who and why."""

from __future__ import annotations

import pytest

from engine.reconciliation.cases import Discrepancy, Selection
from engine.reconciliation.tables import Resolution, State
from tests.engine.payments.house import House
from tests.engine.reconciliation.files import of, paid, reconciled, row, square


@pytest.fixture
async def found(house: House) -> Discrepancy:
    """Something that differs."""
    [payment] = await paid(house)
    await reconciled(house, of(payment, amount=4_000))
    [one] = await house.engine.reconciliation.discrepancies()
    return one


async def test_a_discrepancy_goes_from_hand_to_hand_and_ends_with_a_reason(house: House, found: Discrepancy) -> None:
    desk = house.engine.reconciliation
    assert (await desk.assign(found.number, "bob", by="alice", why="his gateway")).state is State.ASSIGNED
    await desk.assign(found.discrepancy_id.hex, "carol", by="bob", why="on leave")
    ended = await desk.resolve(str(found.discrepancy_id), Resolution.EXPLAINED, by="carol", why="fee kept")
    assert (ended.state, ended.owner, ended.resolution) == (State.RESOLVED, "carol", Resolution.EXPLAINED)
    _, changes = await desk.discrepancy(found.number)
    assert [(one.what, one.by, one.why) for one in changes[1:]] == [
        ("assigned:bob", "alice", "his gateway"),
        ("assigned:carol", "bob", "on leave"),
        ("resolved:explained", "carol", "fee kept"),
    ]
    done = await house.rows("SELECT what, by, why FROM staff_action ORDER BY at")
    assert [one[:2] for one in done] == [
        ("reconciliation.assign", "alice"),
        ("reconciliation.assign", "bob"),
        ("reconciliation.resolve", "carol"),
    ]


async def test_what_is_explained_is_open_no_more_and_still_counted(house: House, found: Discrepancy) -> None:
    assert await square(house) == [(4_000, 5_000, 0, -1_000)]
    await house.engine.reconciliation.resolve(found.number, Resolution.WRITTEN_OFF, by="alice", why="small")
    assert await house.engine.reconciliation.discrepancies() == []
    assert await square(house) == [(4_000, 5_000, -1_000, 0)]


async def test_what_staff_has_decided_is_not_opened_by_the_same_file(house: House) -> None:
    [payment] = await paid(house)
    text = of(payment, amount=4_000)
    await reconciled(house, text)
    [one] = await house.engine.reconciliation.discrepancies()
    await house.engine.reconciliation.resolve(one.number, Resolution.EXPLAINED, by="alice", why="known")
    await reconciled(house, text)
    assert await house.engine.reconciliation.discrepancies() == []
    assert await square(house) == [(4_000, 5_000, -1_000, 0)]


async def test_what_is_resolved_cannot_be_changed(house: House, found: Discrepancy) -> None:
    desk = house.engine.reconciliation
    await desk.resolve(found.number, Resolution.EXPLAINED, by="alice", why="known")
    with pytest.raises(ValueError, match="it is resolved: explained"):
        await desk.assign(found.number, "bob", by="alice", why="again")
    with pytest.raises(ValueError, match="it is resolved: explained"):
        await desk.resolve(found.number, Resolution.WRITTEN_OFF, by="alice", why="again")


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"by": ""}, "by, why"),
        ({"why": " "}, "by, why"),
        ({"owner": ""}, "owner: nobody is named"),
    ],
)
async def test_a_change_without_a_name_or_a_reason_is_refused(
    house: House, found: Discrepancy, asked: dict[str, str], error: str
) -> None:
    given = {"owner": "bob", "by": "alice", "why": "because"} | asked
    with pytest.raises(ValueError, match=error):
        await house.engine.reconciliation.assign(found.number, given["owner"], by=given["by"], why=given["why"])
    [one] = await house.engine.reconciliation.discrepancies()
    assert one.state is State.OPEN


@pytest.mark.parametrize("resolution", [Resolution.CLEARED, Resolution.RETURNED])
async def test_what_only_a_run_can_find_out_nobody_can_decide(
    house: House, found: Discrepancy, resolution: Resolution
) -> None:
    with pytest.raises(ValueError, match="found out by a run"):
        await house.engine.reconciliation.resolve(found.number, resolution, by="alice", why="x")


@pytest.mark.parametrize("which", ["", "abc", "not-hexadecimal", "0" * 33, "fffffff0"])
async def test_a_discrepancy_that_is_not_there_is_refused(house: House, found: Discrepancy, which: str) -> None:
    with pytest.raises(LookupError, match="no discrepancy"):
        await house.engine.reconciliation.discrepancy(which)


async def test_pages_of_discrepancies_hold_each_once_in_order(house: House) -> None:
    lines = [row(f"ref-{number:03}", number) for number in range(1, 24)]
    await reconciled(house, *lines)
    desk, seen, last = house.engine.reconciliation, [], None
    while page := await desk.discrepancies(Selection(), after=last, limit=5):
        seen += [one.name for one in page]
        last = page[-1]
    assert seen == [f"ref-{number:03}" for number in range(1, 24)]
    assert [one.name async for one in desk.each(Selection(gateway="sandbox"))] == seen


async def test_runs_tell_what_was_read_and_by_whom(house: House) -> None:
    await reconciled(house, row("a", 1), "broken")
    [run] = await house.engine.reconciliation.runs()
    assert (run.rows, run.broken, run.by, run.source) == (1, 1, "alice", "file:test.csv")
    assert run.broken_lines == [{"line": 3, "reason": "1 columns, not 8"}]
    assert run.digest is not None and len(run.digest) == 32
