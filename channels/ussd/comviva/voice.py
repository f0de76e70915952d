"""Comviva as a caller: a query, a header that says whether the flow goes on."""

from __future__ import annotations

from collections.abc import Mapping

from channels.ussd import voice
from channels.ussd.voice import Call, Heard, Misread

FLOWS = {"FC": False, "FB": True}


class Voice(voice.Voice):
    """One session."""

    def dial(self, beyond: str = "") -> Call:
        """The first hop: what was dialled, without its ``*`` and ``#``."""
        return self._hop(self.dialled(beyond).strip("*#"))

    def say(self, typed: str) -> Call:
        """The next hop."""
        return self._hop(typed)

    def hang_up(self) -> Call:
        """The gateway cleans up."""
        query = {"clean": "clean-session", "error": "522", "SessionID": self.session_id, "msisdn": self.digits}
        return Call("GET", query=query)

    def hear(self, headers: Mapping[str, str], body: bytes) -> Heard:
        """The body, and ``Freeflow``."""
        if not body:
            return Heard("", ends=True)
        flow = headers.get("Freeflow", "")
        if flow not in FLOWS:
            raise Misread("Freeflow: neither FC nor FB")
        return Heard(body.decode(), FLOWS[flow])

    def _hop(self, typed: str) -> Call:
        query = {"SessionID": self.session_id, "MSISDN": self.digits, "MSC": "kit", "input": typed}
        return Call("GET", query=query)
