"""Signing in to the portal: a line proves by a code sent to it that it is there."""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy.ext.asyncio import AsyncEngine

from engine.accounts.codes import OneTimeCodes
from engine.accounts.rules import parse_msisdn, plain_digits
from engine.accounts.service import Accounts
from engine.accounts.tables import sign_in_code
from engine.words import BadNumber, LineStatus, Subscriber, TooManyCodes, UnknownLine
from runtime.keyring import Keyring


class SignIn:
    """The sign-in codes of one operator's lines. Who asks never learns whether a number is a customer's."""

    def __init__(self, database: AsyncEngine, accounts: Accounts, keyring: Keyring, country: str) -> None:
        self._accounts = accounts
        self._country = country
        self._codes = OneTimeCodes(database, keyring, sign_in_code, "sign-in-code")

    async def send(self, msisdn: str) -> None:
        """Text a fresh code to the line with this number; for any other number, and past a day's codes, nothing."""
        line = await self._find(msisdn)
        if line is None:
            return
        with suppress(TooManyCodes):
            await self._codes.send(line.line, "security.sign_in_code")

    async def check(self, msisdn: str, code: str) -> Subscriber | None:
        """The line, if this is the code that it was sent; the code is used up. None for whatever reason."""
        line = await self._find(msisdn)
        if line is None or not await self._codes.use(line.line, plain_digits(code)):
            return None
        return line

    def counted_as(self, msisdn: str) -> str:
        """What tries with a number are counted under: the same however it was written, whether anybody has it or not.

        E.164; of what is no number, its digits.
        """
        try:
            return parse_msisdn(msisdn, self._country)
        except BadNumber:
            return "".join(one for one in plain_digits(msisdn) if one.isdigit())

    async def _find(self, msisdn: str) -> Subscriber | None:
        try:
            line = await self._accounts.subscriber(msisdn)
        except (BadNumber, UnknownLine):
            return None
        return None if line.status is LineStatus.TERMINATED else line
