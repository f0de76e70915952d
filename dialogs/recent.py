"""The numbers that a line has sent to or paid for lately: the first options where a number is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import UUID

from dialogs.asking import NO_NUMBER, NUMBER, SAMPLE_NUMBER, masked
from dialogs.values import Text, text
from dialogs.words import Accept, Choose, Context, Data, Item, Typed
from engine.words import LineRef


class Recent(NamedTuple):
    """A line, and what a person recognises its number by."""

    line: LineRef
    number: str

    @property
    def label(self) -> Text:
        """As an option says it: with a word, which tells a phone in what direction to write."""
        return text("To {number}", number=self.number)


#: the most that are offered
SAMPLES = tuple(Recent(LineRef(0, UUID(int=0), UUID(int=number)), masked("8888")) for number in range(3))


async def recents(context: Context) -> tuple[Recent, ...]:
    """Whom the line of who is asking has sent to or paid for.

    Of two numbers that end alike only the first one is offered: the other is typed, so that nobody takes one for it.
    """
    lines = await context.engine.favourites.receivers(context.subscriber.line)
    contacts = await context.engine.accounts.reveal(lines)
    known = [(line, contacts[line.line_id].msisdn) for line in lines if line.line_id in contacts]
    shown: dict[str, Recent] = {}
    for line, msisdn in known:
        if msisdn is not None:
            shown.setdefault(masked(msisdn), Recent(line, masked(msisdn)))
    return tuple(shown.values())


def number_asked(
    name: str,
    to: str,
    *,
    plain: Text,
    listed: Text,
    keep: Callable[[Recent], dict[str, Any]],
    accept: Accept,
    beyond_account: bool = False,
) -> Choose:
    """The screen that asks for somebody else's number: ``listed`` where there are some to choose, ``plain`` where not.

    ``keep``: what is kept of a chosen one; ``accept`` takes one that is typed. ``beyond_account``: lines of the own
    account are left out.
    """

    async def load(context: Context, _data: Data) -> dict[str, Any]:
        """Whom this line gave something lately."""
        own = context.subscriber.account if beyond_account else None
        return {"recent": [one for one in await recents(context) if one.line.account != own]}

    def items(data: Data) -> tuple[Item, ...]:
        """Each by the end of its number."""
        return tuple([Item(str(one.line.line_id), one.label, keep(one)) for one in data["recent"]])

    return Choose(
        name=name,
        text=lambda data: listed if data["recent"] else plain,
        load=load,
        items=items,
        keeps="recent",
        to=to,
        typed=(Typed(shape=NUMBER, sample=SAMPLE_NUMBER, accept=accept, leads=(to,)),),
        wrong=NO_NUMBER,
        samples=({"recent": SAMPLES}, {"recent": ()}),
    )
