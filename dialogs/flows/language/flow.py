"""The language of a line, offered in its own words."""

from __future__ import annotations

from dialogs.values import text
from dialogs.words import Choose, Context, Data, Dialog, Item, Say
from settings import Operator

#: what each language calls itself: the same in every language, so not a text to translate
OWN_NAMES = {"en": "English", "fr": "Français", "sw": "Kiswahili", "ar": "العربية", "pt": "Português", "ha": "Hausa"}


def language(operator: Operator) -> Dialog:
    """The answer already comes in the language that was chosen."""

    def items(_data: Data) -> tuple[Item, ...]:
        """Each by its own name: who cannot read this screen finds theirs."""
        return tuple(Item(code, text("{name}", name=OWN_NAMES[code])) for code in operator.languages)

    async def remember(context: Context, chosen: str) -> None:
        """From the next word on they are spoken to in it."""
        await context.engine.set_language(context.subscriber, chosen)
        context.language = chosen

    choose = Choose(
        name="language.choose",
        text=text("Language:"),
        items=items,
        keeps="language",
        to="language.done",
        act=remember,
    )
    done = Say(name="language.done", text=text("From now on we speak English with you."))
    return Dialog(name="language", states=(choose, done))
