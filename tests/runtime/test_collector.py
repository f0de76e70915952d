"""The collector's settings: what is loaded is left alone, what is made later is still collected."""

from __future__ import annotations

import gc
import weakref

import pytest

from runtime.collector import THRESHOLDS, settle_collector


class Knot:
    """An object that holds itself: only the collector frees it."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture
def collector():
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


def test_what_is_loaded_is_walked_no_more(collector):
    loaded = [Knot()]
    settle_collector()
    assert not any(one is loaded for one in gc.get_objects())


def test_cycles_that_come_later_are_freed_without_being_asked(collector):
    settle_collector()
    first = weakref.ref(Knot())
    kept = [[] for _ in range(2 * THRESHOLDS[0])]
    assert first() is None
    assert len(kept) == 2 * THRESHOLDS[0]
