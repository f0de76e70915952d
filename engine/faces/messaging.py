"""What people and other systems are told, and what is remembered of dialogs."""

from __future__ import annotations

from engine.accounts.chats import Chats
from engine.accounts.service import Accounts
from engine.dialogs.hops import Hops
from engine.dialogs.menus import Menus
from engine.dialogs.places import Places
from engine.events.service import Events
from engine.faces.foundation import Foundation
from engine.notices.campaigns import Campaigns
from engine.notices.expiring import Expiring
from engine.notices.service import Messages
from engine.notices.told import Told
from engine.notices.wishes import Wishes
from settings import WebhookSettings


class Messaging:
    """Messages from the commit that they tell of to the report that they arrived; and the places of dialogs."""

    def __init__(self, base: Foundation, accounts: Accounts, chats: Chats, webhooks: WebhookSettings) -> None:
        """``webhooks``: whom events may be sent to."""
        database, operator, keyring = base.database, base.operator, base.keyring
        self._messages = messages = Messages(database, operator, accounts, chats)
        self.claim_messages = messages.claim_messages
        self.tell = messages.tell
        self.hand_over = messages.hand_over
        self.postpone_messages = messages.postpone
        self.record_attempt = messages.record_attempt
        self.record_report = messages.record_report
        self.parked_messages = messages.parked_messages
        self.resend_message = messages.resend_message
        self.message_history = messages.message_history
        #: receipts that an answer makes needless, and promises of an outcome
        self.told = Told(database)
        self.tell_expiring = Expiring(database, operator).tell_expiring
        #: one message to many
        self.campaigns = Campaigns(database, accounts, keyring)

        wishes = Wishes(database, accounts)
        self.preferences = wishes.preferences
        self.set_preferences = wishes.set_preferences
        self.opt_out = wishes.opt_out
        self.first_time = wishes.first_time
        self.tidy = wishes.tidy

        #: which systems are told of what happens: ``subscribe``, ``unsubscribe``, ``list``, and what is on its way
        self.events = Events(database, keyring, base.trail, webhooks)

        #: places in the dialogs that a dialled code leads back to
        self.places = Places(database)
        #: messages that went out as menus on the phone's screen
        self.menus = Menus(database)
        #: screens that people were shown: ``keep`` some, see the ``funnel``
        self.hops = Hops(database)
