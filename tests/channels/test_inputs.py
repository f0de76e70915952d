"""What a person has newly typed, told from the gateway's cumulative text."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, strategies as st

from channels.inputs import SEGMENT_LIMIT, TEXT_LIMIT, Inputs, bounded, inputs
from channels.session import Session
from channels.turn import Event, Malformed, Turn
from dialogs.words import Place

typed = st.text(st.sampled_from("0123456789abc *٣"), min_size=1, max_size=8)


def key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:16]


def after(text: str, *, ended: bool = False) -> Session:
    """The session once ``text`` was answered."""
    return Session(Place(), seen_length=len(text), seen=key(text), ended=ended)


def fed(text: str, session: Session | None, *, cumulative: bool = True, event: Event | None = None) -> Inputs:
    turn = Turn(channel="ussd", gateway="g", session_id="s", msisdn="+1", text=text, cumulative=cumulative, event=event)
    return inputs(turn, session, lambda length: key(text[:length]))


def test_a_new_session_without_text_feeds_nothing() -> None:
    assert fed("", None) == Inputs([], restart=True)


def test_a_new_session_with_text_is_a_short_cut_fed_piece_by_piece() -> None:
    assert fed("2*50", None) == Inputs(["2", "50"], restart=True)


def test_a_first_answer_is_the_whole_text() -> None:
    assert fed("1", after("")) == Inputs(["1"], restart=False)


def test_an_answer_may_hold_the_separator() -> None:
    assert fed("1*2*3", after("1")) == Inputs(["2*3"], restart=False)


def test_an_empty_answer_is_an_answer() -> None:
    assert fed("1*", after("1")) == Inputs([""], restart=False)


@given(before=st.lists(typed, min_size=1, max_size=5), last=typed)
def test_what_continues_the_last_text_is_one_input(before: list[str], last: str) -> None:
    seen = "*".join(before)
    assert fed(f"{seen}*{last}", after(seen)) == Inputs([last], restart=False)


@pytest.mark.parametrize(("seen", "text"), [("1*2", "1*3*4"), ("12", "123"), ("1*2", "2*1")])
def test_what_does_not_continue_the_last_text_is_played_from_the_start(seen: str, text: str) -> None:
    assert fed(text, after(seen)) == Inputs(text.split("*"), restart=True)


def test_a_hop_that_was_overtaken_does_not_move_the_session_back() -> None:
    assert fed("1", after("1*2")) == Inputs(["1"], restart=True, keeps=False)


def test_a_session_that_ended_is_played_from_the_start() -> None:
    assert fed("1*2", after("1", ended=True)) == Inputs(["1", "2"], restart=True)


def test_a_gateway_that_sends_the_latest_input_only_is_taken_at_its_word() -> None:
    assert fed("1*2", after("7"), cumulative=False) == Inputs(["1*2"], restart=False)
    assert fed("2*50", None, cumulative=False, event=Event.NEW) == Inputs(["2", "50"], restart=True)


@pytest.mark.parametrize("text", ["1" * (TEXT_LIMIT + 1), "*".join("1" * (SEGMENT_LIMIT + 1))])
def test_a_text_too_long_to_be_a_dialogue_is_refused(text: str) -> None:
    with pytest.raises(Malformed) as refused:
        bounded(Turn(channel="ussd", gateway="g", session_id="s", msisdn="+1", text=text, cumulative=True))
    assert refused.value.field == "text"


def test_the_longest_dialogue_is_let_in() -> None:
    text = "*".join("1" * SEGMENT_LIMIT)
    bounded(Turn(channel="ussd", gateway="g", session_id="s", msisdn="+1", text=text, cumulative=True))
