"""The main menu: who serves you, your money, and where to go. A voucher number typed here goes straight to recharge."""

from __future__ import annotations

from typing import Any

from dialogs.flows.recharge.flow import voucher_number
from dialogs.refusals import HINDRANCES, help_line, hindrance
from dialogs.samples import money_sample
from dialogs.values import Money, Text, lines, text
from dialogs.words import Context, Data, Dialog, Link, Menu, Say
from engine.words import Unit
from settings import Operator


def main_menu(operator: Operator) -> Dialog:
    """Greeting with the money balance; 0 leaves."""

    async def load(context: Context, _data: Data) -> dict[str, Any]:
        """The money, and what keeps the line from using it."""
        subscriber = context.subscriber
        balance = Money(subscriber.total(Unit.MONEY), subscriber.currency)
        return {"balance": balance, "hindrance": hindrance(subscriber)}

    def greeting(data: Data) -> Text:
        """Who we are and how much there is, before anything is asked."""
        balance = text("{operator}: {balance}", operator=operator.name, balance=data["balance"])
        return balance if data["hindrance"] is None else lines(balance, data["hindrance"], help_line(operator))

    longest = money_sample(operator)
    home = Menu(
        name="main_menu.home",
        text=greeting,
        load=load,
        links=(
            Link("balance", text("Balance"), "balance.show"),
            Link("recharge", text("Recharge"), "pay.home"),
            Link("bundles", text("Bundles"), "bundles.list"),
            Link("account", text("My account"), "account.home"),
            Link("send", text("Send"), "transfer.what"),
            Link("advance", text("Advance"), "advance.offer"),
            Link("usage", text("My usage"), "usage.home"),
        ),
        typed=(voucher_number(operator),),
        exit="main_menu.goodbye",
        samples=tuple({"balance": longest, "hindrance": one} for one in (None, *HINDRANCES.values())),
    )
    goodbye = Say(name="main_menu.goodbye", text=text("Goodbye."))
    return Dialog(name="main_menu", states=(home, goodbye))
