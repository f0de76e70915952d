"""Sessions that we begin: a menu that a person's phone shows without their having dialled.

The first screen is made and kept like that of any session; only then is the gateway asked to show it. From there on the
person's inputs are turns of that session, through the same machine, and money steps derive their keys from its id: the
same push tried again is the same session, and what was bought in it is bought once.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from uuid import UUID

import structlog

from channels.turn import Event, Reply, Turn
from channels.ussd.outbound import NotPushed, Opening, Outbound

log = structlog.get_logger(__name__)

#: what the ids of our sessions begin with, and all of one
PREFIX = "push-"
OURS = re.compile(rf"{PREFIX}([0-9a-f]{{32}})")


def pushed(turn: Turn) -> UUID | None:
    """The push that began the session of this turn; None for a session that a person began."""
    name = OURS.fullmatch(turn.session_id)
    return None if name is None else UUID(hex=name[1])


class Pushes:
    """The entry point for whoever wants to begin a session with a person. One per process that opens connections."""

    def __init__(
        self, gateways: Mapping[str, Outbound], turn: Callable[[Turn], Awaitable[Reply]], states: Collection[str]
    ) -> None:
        """``gateways`` by name in the settings; ``turn``: the conversation; ``states``: all that are declared."""
        self._gateways = {name: one for name, one in gateways.items() if one.pushes}
        self._turn = turn
        self._states = states

    @property
    def possible(self) -> bool:
        """Whether there is a gateway that takes sessions of ours."""
        return bool(self._gateways)

    async def push(self, msisdn: str, state: str, push_id: UUID) -> None:
        """Begin a session with a person at ``state`` (``bundles.offer``), on the first gateway that shows it.

        ``msisdn``: E.164 with ``+``. ``push_id``: the same whenever the same push is tried again, such as the id of
        the notice that it stands for. Where the gateway answers only when the person has, this lasts as long as the
        session: run it as a task. Raises ``LookupError`` for a state that is not declared, ``NotPushed`` when nobody
        has shown the screen; a gateway of which that is unknown is the last one that is asked.
        """
        if state not in self._states:
            raise LookupError(f"no such state: {state}")
        refused = NotPushed("no_gateway")
        for name, gateway in self._gateways.items():
            turn = Turn(
                channel="ussd",
                gateway=name,
                session_id=f"{PREFIX}{push_id.hex}",
                msisdn=msisdn,
                text="",
                event=Event.NEW,
                sequence="0",
                begins=state,
            )
            first = await self._turn(turn)
            if first.label not in self._states:
                # A notice: the line is gone, or cannot be served now. Nobody has asked to hear that.
                raise NotPushed(first.label or "refused")
            try:
                await gateway.push(Opening(turn.session_id, msisdn, first))
            except NotPushed as error:
                log.info("not_pushed", gateway=name, reason=error.reason, state=state)
                refused = error
                if error.unknown:
                    break
                continue
            return
        raise refused
