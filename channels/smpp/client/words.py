"""What a session is bounded by, and how a request can fail."""

from __future__ import annotations

from dataclasses import dataclass


class NotSent(Exception):
    """The request never left: it has had no effect. ``args[0]`` is the reason, a code."""


class Unanswered(Exception):
    """The request left and no answer came: whether it had an effect is unknown. ``args[0]`` is the reason, a code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a session carries, and how long it waits."""

    #: our requests that may wait for an answer at the same time
    window: int = 10
    #: seconds an answer may take
    answer_seconds: float = 10.0
    #: seconds of silence after which the centre is asked for a sign of life, and how long that may take
    enquire_seconds: float = 30.0
    enquire_answer_seconds: float = 10.0
    #: deliveries handled at the same time, and how many more may wait for their turn
    handlers: int = 50
    queue: int = 200


class Throttled(NotSent):
    """The centre wants silence; ``seconds`` are left of it."""

    def __init__(self, seconds: float) -> None:
        super().__init__("throttled")
        self.seconds = seconds
