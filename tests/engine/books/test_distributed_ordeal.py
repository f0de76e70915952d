"""Settlements over four databases on three servers while coordinators and servers die at every step of a batch.

A sample here; all of it, thousands of operations, with ``python -m tests.engine.books.ordeal --rounds 550``.
"""

from __future__ import annotations

import pytest

from tests.engine.books import ordeal


def test_every_fault_strikes_at_every_step_before_any_strikes_again() -> None:
    whole = [(fault.step, fault.what) for fault in ordeal.faults(1, len(ordeal.STEPS) * len(ordeal.FAULTS))]
    assert len(set(whole)) == len(whole) == len(ordeal.STEPS) * len(ordeal.FAULTS)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", [20261122])
async def test_whatever_dies_nothing_is_lost_nothing_doubled_and_nothing_left_prepared(seed: int) -> None:
    went = await ordeal.run(seed, rounds=20, size=30)
    assert went.settled + went.reversed == 600
    assert sum(went.happened.values()) == 20 and set(went.happened) == set(ordeal.FAULTS)
