"""What is said in chats beside the dialogs: to whom a chat belongs, the commands, and good-bye."""

from __future__ import annotations

from dialogs.values import Text, lines, text
from settings import Operator

#: what the app lists when a person types a slash
COMMANDS: dict[str, Text] = {
    "menu": text("Menu"),
    "balance": text("Balance"),
    "recharge": text("Recharge"),
    "continue": text("Continue where you left off"),
    "language": text("Language"),
    "help": text("Help"),
    "unlink": text("Take my number out of this chat"),
}
#: labels of buttons
MENU, UNLINK, KEEP = COMMANDS["menu"], text("Take it out"), text("Keep it")
#: minutes that a one-time code lives, as the engine gives it
CODE_MINUTES = 10


def chat_texts(operator: Operator) -> dict[str, Text]:
    """Every sentence by name."""
    name = operator.name
    return {
        "ask_number": text("Write your mobile number of {operator}. We will text you a code.", operator=name),
        #: the same whether it is a number of ours or not: who asks must not learn which
        "ask_code": text(
            "If it is one of {operator}, a code is on its way to that number. Write it here within {minutes} min.",
            operator=name,
            minutes=CODE_MINUTES,
        ),
        "wrong_number": text("That is no mobile number of {operator}.", operator=name),
        "wrong_code": text("That code is wrong or too old."),
        "too_many": text("Too many tries. Please try again in an hour."),
        "linked": text("This chat now belongs to your number."),
        "unlinked": text("Your number was taken out of this chat."),
        "ask_unlink": text("Take your number out of this chat? Messages will come by text again."),
        "group": text("What you have is nobody else's business: please write to me in a chat of our own."),
        "help": lines(
            text("Tap a button, write a voucher number, or:"),
            *(text("/{command}: {what}", command=command, what=what) for command, what in COMMANDS.items()),
        ),
    }
