"""A card that is not saved: its payer enters it on the payment service's page, and is texted where that is.

Offered for the person's own line alone: the link, and the card that is kept, are theirs.
"""

from __future__ import annotations

from typing import Any

from dialogs.values import text
from dialogs.words import Choose, Context, Data, Item
from engine.words import CARDS_MOST, CardPage, PaymentMethod, SavedCard

#: what is kept of this choice
CHOSEN: dict[str, Any] = {"method": PaymentMethod.CARD.value, "card": "", "till": "", "keep": False}


def offered(context: Context, methods: frozenset[PaymentMethod], saved: tuple[SavedCard, ...]) -> str:
    """The state that a new card leads to: whether it is kept is asked where there is room; empty: it is not offered."""
    if PaymentMethod.CARD not in methods or not context.engine.takes_new_cards():
        return ""
    return "pay.keep" if len(saved) < CARDS_MOST else "pay.amount"


def option(leads: str) -> tuple[Item, ...]:
    """The option, if it is offered."""
    return (Item("new_card", text("New card"), CHOSEN, leads),) if leads else ()


def keep() -> Choose:
    """Whether the card is kept: only that of who says so."""
    return Choose(
        name="pay.keep",
        text=text("Keep this card for next time?"),
        items=lambda _data: (
            Item("keep", text("Yes"), {"keep": True}),
            Item("once", text("No"), {"keep": False}),
        ),
        keeps="kept",
        to="pay.amount",
    )


def page_of(data: Data) -> CardPage | None:
    """What the engine is told of a new card; nothing of any other way to pay."""
    chosen = data.get("method") == PaymentMethod.CARD and not data["card"]
    return CardPage(keep=data["keep"]) if chosen else None
