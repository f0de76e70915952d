"""Alerts that are a menu: shown on the phone's screen where a gateway can, and told by text otherwise. Once.

Whoever delivers asks here first. The message stays in the outbox while its menu waits for an answer, so it is told by
text whatever happens to this process, to the gateway or to Redis; whether it was answered is in Postgres
(``engine.menus``). Wishes, quiet hours and caps have been looked at by then: they are those of the message.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import structlog

from channels.push import Pushes
from channels.ussd.outbound import NotPushed
from dialogs.flows.offers.flow import offer_state
from dialogs.tailoring import offered
from engine.api import Engine, PushState
from engine.words import Channel, DeliveryState, Message
from runtime.ongoing import Ongoing

log = structlog.get_logger(__name__)

#: what is told by a menu: it says what is left of a unit, and sells more of it
PUSHED_TOPIC = "alert.low_balance"
#: what a message that was told by a menu is recorded under, where others have their carrier's name
BY_MENU = "menu"


class MenuAlerts:
    """Tells alerts by menu. One per process that opens connections."""

    def __init__(self, engine: Engine, pushes: Pushes) -> None:
        self._engine = engine
        self._pushes = pushes
        self._ongoing = Ongoing()

    async def takes(self, message: Message) -> bool:
        """Whether a claimed message is told by menu, or may yet be: then it is postponed. False: its text goes."""
        if message.topic != PUSHED_TOPIC or message.msisdn is None:
            return False
        ref = message.shard, message.message_id
        # On its first way through nobody can have begun one.
        known = await self._engine.menus.menu(ref) if message.attempts > 1 else None
        if known is None:
            return await self._begins(message, message.msisdn)
        state, begun_at = known
        if state is PushState.BEGUN:
            until = begun_at + timedelta(seconds=self._engine.operator.sessions.push_answer_seconds)
            if datetime.now(UTC) < until:
                await self._engine.postpone_messages([message], until)
                return True
            if await self._engine.menus.menu_texted(ref):
                return False
            state = PushState.ANSWERED
        if state is PushState.ANSWERED:
            await self._engine.record_attempt(message, BY_MENU, None, DeliveryState.DELIVERED)
            return True
        return False

    async def drain(self) -> None:
        """Wait for the sessions that gateways still have in hand."""
        await self._ongoing.drain()

    async def _begins(self, message: Message, msisdn: str) -> bool:
        """Push a menu, if the line is at its phone: what is low was used a moment ago."""
        rules = self._engine.operator.sessions
        old = datetime.now(UTC) - message.created_at > timedelta(minutes=rules.push_minutes)
        chat = message.channel is not Channel.SMS and message.channel in message.chats
        shown = offered(offer_state(message.body["unit"]), self._engine.operator.dialogs)
        if old or chat or not shown or not self._pushes.possible:
            return False
        wait = datetime.now(UTC) + timedelta(seconds=rules.push_answer_seconds)
        mine = await self._engine.menus.begin_menu((message.shard, message.message_id))
        await self._engine.postpone_messages([message], wait)
        if mine:
            self._ongoing.start(self._push(message, msisdn))
        return True

    async def _push(self, message: Message, msisdn: str) -> None:
        """Let a gateway show the menu; where none does, the text is due at once."""
        try:
            await self._pushes.push(msisdn, offer_state(message.body["unit"]), message.message_id)
        except NotPushed as error:
            if error.unknown:  # it may be on the screen: an answer or the time will tell
                return
            reason = error.reason
        except Exception as error:
            log.exception("menu_not_pushed", message_id=str(message.message_id))
            reason = type(error).__name__
        else:
            return
        log.info("menu_refused", message_id=str(message.message_id), reason=reason)
        await self._engine.menus.menu_refused((message.shard, message.message_id))
        await self._engine.postpone_messages([message], datetime.now(UTC))
