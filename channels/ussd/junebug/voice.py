"""Junebug as a caller: messages with ids, no session id. What we post is also what the hop is answered with."""

from __future__ import annotations

from collections.abc import Mapping

from channels.ussd import voice
from channels.ussd.voice import Call, Heard, Misread, json_of, said


class Voice(voice.Voice):
    """One session."""

    def __init__(self, session_id: str, msisdn: str, service_code: str) -> None:
        super().__init__(session_id, msisdn, service_code)
        self._hops = 0

    def dial(self, beyond: str = "") -> Call:
        """``new``; nothing is said where nothing but the code was dialled."""
        return self._hop("new", self.dialled(beyond) if beyond else None)

    def say(self, typed: str) -> Call:
        """``resume``."""
        return self._hop("resume", typed)

    def hang_up(self) -> Call:
        """``close``."""
        return self._hop("close", None)

    def hear(self, headers: Mapping[str, str], body: bytes) -> Heard:  # noqa: ARG002 - all is in the body
        """``content`` and ``continue_session``."""
        answer = json_of(body)
        if not answer:
            return Heard("", ends=True)
        if said(answer, "reply_to", str) != self._id():
            raise Misread("reply_to: another message's")
        data = said(answer, "channel_data", dict)
        return Heard(said(answer, "content", str), not said(data, "continue_session", bool))

    def _id(self) -> str:
        return f"{self.session_id}.{self._hops}"

    def _hop(self, event: str, content: str | None) -> Call:
        self._hops += 1
        return Call.json(
            {
                "to": self.dialled(""),
                "from": self.msisdn,
                "group": None,
                "message_id": self._id(),
                "channel_id": "kit",
                "timestamp": "2026-11-22 01:02:03.000000",
                "reply_to": None,
                "content": content,
                "channel_data": {"session_event": event},
            }
        )
