"""My account: the settings of one's own line."""

from __future__ import annotations

from dialogs.values import text
from dialogs.words import Dialog, Link, Menu
from settings import Operator


def account(_operator: Operator) -> Dialog:
    """Language, PIN and messages."""
    home = Menu(
        name="account.home",
        text=text("My account"),
        links=(
            Link("language", text("Language"), "language.choose"),
            Link("pin", text("PIN"), "pin.old"),
            Link("messages", text("Messages"), "notifications.home"),
        ),
    )
    return Dialog(name="account", states=(home,))
