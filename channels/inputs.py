"""What a person has newly typed, worked out of what the gateway sent: pure, no I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from channels.session import Session
from channels.turn import Event, Malformed, Turn

#: a text beyond these is no dialogue: feeding it would only cost us
TEXT_LIMIT = 2000
SEGMENT_LIMIT = 40


class Inputs(NamedTuple):
    """The inputs to feed to the dialogs, in order."""

    texts: list[str]
    #: from the session's first screen on; otherwise from where the person stands
    restart: bool
    #: what comes out is where the person stands now; False for a hop that was overtaken by a later one
    keeps: bool = True


def bounded(turn: Turn) -> None:
    """Raise ``Malformed`` for a text that is too long or has too many segments to be a dialogue."""
    if len(turn.text) > TEXT_LIMIT:
        raise Malformed("text", f"longer than {TEXT_LIMIT} characters")
    if turn.cumulative and turn.text.count("*") >= SEGMENT_LIMIT:
        raise Malformed("text", f"more than {SEGMENT_LIMIT} inputs")


def inputs(turn: Turn, session: Session | None, hop: Callable[[int], bytes]) -> Inputs:
    """What to feed. ``hop(n)`` is the hop key of the first ``n`` characters of the text.

    A cumulative gateway joins all inputs by ``*``, so an answer that holds a ``*`` cannot be told from two answers:
    what follows the text answered last is one input, whole (as Vumi's Safaricom transport does). Without a session
    (a shortcut that was dialled, a session lost from Redis, a hop that does not continue the last one) the segments
    are played from the start; derived idempotency keys make a second playing harmless.
    """
    if not turn.cumulative:
        if session is not None and not session.ended and turn.event is not Event.NEW:
            return Inputs([turn.text], restart=False)
        return Inputs(_segments(turn.text if turn.dialled is None else turn.dialled), restart=True)
    segments = _segments(turn.text)
    if session is not None and not session.ended and segments:
        seen = session.seen_length
        if seen == 0:
            return Inputs([turn.text], restart=False)
        if len(turn.text) > seen and turn.text[seen] == "*" and hop(seen) == session.seen:
            return Inputs([turn.text[seen + 1 :]], restart=False)
    late = session is not None and len(turn.text) < session.seen_length
    return Inputs(segments, restart=True, keeps=not late)


def _segments(text: str) -> list[str]:
    return text.split("*") if text else []
