"""What every area of one installation rests on, made once."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from engine.audit.service import Trail
from engine.books.databases import Books
from engine.books.service import Door
from engine.events.alarms import Alarms
from runtime.keyring import Keyring
from runtime.metrics import Metrics
from settings import Operator


@dataclass(frozen=True, slots=True, kw_only=True)
class Foundation:
    """Databases, settings and keys, the door for money, and who is told when something is not right."""

    books: Books
    operator: Operator
    keyring: Keyring
    metrics: Metrics
    door: Door
    alarms: Alarms
    trail: Trail

    @classmethod
    def lay(cls, books: Books, operator: Operator, keyring: Keyring, metrics: Metrics, lanes: int) -> Foundation:
        """On one installation's books; ``lanes`` writers take operations in."""
        return cls(
            books=books,
            operator=operator,
            keyring=keyring,
            metrics=metrics,
            door=Door(books, operator, metrics, lanes),
            alarms=Alarms(books.billing, metrics),
            trail=Trail(books.billing),
        )

    @property
    def database(self) -> AsyncEngine:
        """Where billing lives, and with it all that belongs to no book."""
        return self.books.billing
