"""Who a number belongs to: lines and accounts, PINs, chats, signing in, erasure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from engine.accounts.chats import Chats
from engine.accounts.finding import Finder
from engine.accounts.leaving import Leaving
from engine.accounts.service import Accounts
from engine.accounts.signing_in import SignIn
from engine.faces.foundation import Foundation
from engine.words import LineRef


class Lines:
    """The operator's subscribers, by number, by SIM, by chat."""

    def __init__(self, base: Foundation, changed: Callable[[LineRef], Awaitable[None]]) -> None:
        """``changed`` is called when a line has been given another status."""
        database, operator, keyring = base.database, base.operator, base.keyring
        #: lines, PINs, erasure
        self.accounts = Accounts(database, operator, keyring, changed)
        self.subscriber = self.accounts.subscriber
        self.create_line = self.accounts.create_line
        self.set_language = self.accounts.set_language
        self.check_pin = self.accounts.check_pin
        self.set_pin = self.accounts.set_pin

        self._finder = Finder(database, operator, keyring)
        self.line_of = self._finder.line_of

        self._chats = Chats(database, operator, keyring)
        self.link_code = self._chats.link_code
        self.link_chat = self._chats.link_chat
        self.linked = self._chats.linked
        self.unlink = self._chats.unlink
        self.chats = self._chats.chats

        #: codes by which people sign in to the portal
        self.sign_in = SignIn(database, self.accounts, keyring, operator.country)
        #: who belongs to an account, and erasure at a person's own wish
        self.leaving = Leaving(database, self.accounts, keyring)
