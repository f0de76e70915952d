"""Somebody else's line by the number that a person types, tried only so often."""

from __future__ import annotations

from channels.quota import Quota
from dialogs.values import Text, text
from engine.words import BadNumber, LineStatus, Subscriber, UnknownLine
from portal.selfcare.person import Desk, Person

#: numbers that one line may try in an hour: nobody shall find out here who is a customer
TRIED, HOUR = 20, 3600


class Receivers:
    """Whom people send to and pay for."""

    def __init__(self, desk: Desk, quota: Quota) -> None:
        self._desk = desk
        self._quota = quota

    async def find(self, person: Person, number: str, nobody: Text) -> Subscriber | Text:
        """The line of a number; ``nobody`` where there is none that anything could be given to."""
        if await self._quota.count("portal_receiver", str(person.subscriber.line_id), HOUR) > TRIED:
            return text("Too many tries. Please try again in an hour.")
        try:
            found = await self._desk.engine.subscriber(number)
        except (BadNumber, UnknownLine):
            return nobody
        return nobody if found.status is LineStatus.TERMINATED else found
