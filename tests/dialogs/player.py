"""A conversation player: say what a person types, see what the screen shows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import NAMESPACE_OID, UUID, uuid5

from dialogs.machine import Machine
from dialogs.said import Screen
from dialogs.steps import Step
from dialogs.words import Context, Place
from engine.api import Engine


class Player:
    """One person on one line in one session, over the machine and a real engine."""

    def __init__(self, engine: Engine, machine: Machine, msisdn: str, session: str = "s1") -> None:
        self.engine = engine
        self.machine = machine
        self.msisdn = msisdn
        self.session = session
        self.step: Step | None = None
        self.said: list[str] = []

    def key(self, state: str, visit: int) -> UUID:
        """The derived key of a money step of this session."""
        return uuid5(NAMESPACE_OID, f"test|{self.session}|{state}|{visit}")

    async def context(self) -> Context:
        """What a channel hands over with each turn: the subscriber is read afresh."""
        subscriber = await self.engine.subscriber(self.msisdn)
        return Context(
            engine=self.engine,
            subscriber=subscriber,
            language=subscriber.language,
            now=datetime.now(UTC),
            source="ussd:test",
            key=self.key,
        )

    async def dial(self) -> Player:
        """Open a session."""
        self.step = await self.machine.open(await self.context())
        return self

    async def say(self, *inputs: str) -> Player:
        """Type one input after another."""
        assert self.step is not None, "dial first"
        for given in inputs:
            self.step = await self.machine.say(self.place, given, await self.context())
            self.said.append(given)
        return self

    async def again(self, session: str) -> Player:
        """The same person in a fresh session."""
        return await Player(self.engine, self.machine, self.msisdn, session).dial()

    async def replay(self) -> Player:
        """The same session, lost and rebuilt from all that was typed."""
        return await (await Player(self.engine, self.machine, self.msisdn, self.session).dial()).say(*self.said)

    @property
    def place(self) -> Place:
        """Where the person stands."""
        assert self.step is not None
        return self.step.place

    @property
    def screen(self) -> Screen:
        """What the person sees."""
        assert self.step is not None
        return self.step.screen

    def sees(self, *parts: str) -> Player:
        """The screen shows each of these."""
        shown = self.shown()
        for part in parts:
            assert part in shown, f"{part!r} not in {shown!r}"
        return self

    def stands_in(self, state: str) -> Player:
        """The screen is that of a state."""
        assert self.screen.state == state, f"in {self.screen.state}: {self.shown()!r}"
        return self

    def shown(self) -> str:
        """The screen as one text."""
        lines: Sequence[str] = [f"{number} {option.label}" for number, option in self.screen.numbered()]
        return "\n".join([self.screen.text, *lines])
