"""One text with all that belongs to it, and whether the conversation that it belongs to still goes on."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast
from uuid import UUID

from channels.keys import derived_keys, origin_of
from channels.session import Session
from channels.text_turn import TextProfile, TextTurn
from channels.trace import Trace, Watched
from channels.turn import Profile
from dialogs.words import Context, Place
from engine.api import Engine
from engine.words import Subscriber


@dataclass(frozen=True, slots=True)
class Exchange:
    """One text with all that belongs to it."""

    turn: TextTurn
    subscriber: Subscriber
    profile: TextProfile
    trace: Trace
    live: Session | None

    def own_origin(self) -> UUID:
        """What keys derive from in a conversation that begins with this text."""
        return origin_of(f"text|{self.turn.gateway}", self.turn.sequence)

    def context(self, engine: Engine, origin: UUID) -> Context:
        """What the dialogs are told; ``origin``: what keys derive from."""
        return Context(
            engine=cast(Engine, Watched(engine, self.trace)),
            subscriber=self.subscriber,
            language=self.subscriber.language,
            now=datetime.now(UTC),
            source=f"{self.turn.channel}:{self.turn.gateway}",
            key=derived_keys(origin),
        )


def live(session: Session | None, profile: Profile) -> Session | None:
    """The session, unless it is over or nothing was heard for too long."""
    return None if session is None or session.ended or not fresh(session, profile) else session


def fresh(session: Session | None, profile: Profile) -> bool:
    """Whether something was heard lately."""
    thread = None if session is None else session.thread
    return thread is not None and time.time() - thread.heard_at < profile.session_seconds


def over() -> Session:
    """The session of a conversation that has ended."""
    return Session(Place(), ended=True)
