"""What fails again and again is told when it begins, when it changes and when it is over; the loop goes on."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from runtime import trouble as module
from runtime.trouble import Trouble


def rounds(trouble: Trouble, *errors: BaseException | None) -> list[str]:
    """The log of rounds that end so."""
    with capture_logs() as told:
        for error in errors:
            with trouble:
                if error is not None:
                    raise error
    return [line["event"] for line in told]


def test_what_fails_at_every_round_is_told_once_and_when_it_is_over() -> None:
    away = OSError("away")
    assert rounds(Trouble("look_failed"), None, away, away, away, None, None) == ["look_failed", "over"]


def test_what_fails_in_another_way_meanwhile_is_told_by_itself() -> None:
    errors = (OSError("away"), ValueError("a row"), OSError("away"), ValueError("a row"))
    assert rounds(Trouble("look_failed"), *errors) == ["look_failed", "look_failed"]


def test_trouble_that_comes_back_is_told_again() -> None:
    away = OSError("away")
    assert rounds(Trouble("look_failed"), away, None, away) == ["look_failed", "over", "look_failed"]


def test_what_still_fails_after_a_while_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN", 0.0)
    away = OSError("away")
    assert rounds(Trouble("look_failed"), away, away) == ["look_failed", "look_failed"]


def test_the_log_names_where_and_why() -> None:
    with capture_logs() as told, Trouble("look_failed", job="tidy"):
        raise OSError("away")
    (line,) = told
    assert (line["job"], line["log_level"], str(line["exc_info"])) == ("tidy", "error", "away")


def test_whoever_is_told_to_stop_stops() -> None:
    with pytest.raises(asyncio.CancelledError), Trouble("look_failed"):
        raise asyncio.CancelledError
