"""TruRoute as a caller."""

from __future__ import annotations

from collections.abc import Mapping

from channels.turn import Malformed
from channels.ussd import voice
from channels.ussd.voice import Call, Heard, Misread
from channels.ussd.xml import DECLARATION, XML, content, read, text

ENDS = {"2": False, "3": True}


class Voice(voice.Voice):
    """One session."""

    def dial(self, beyond: str = "") -> Call:
        """Type 1."""
        return self._hop("1", self.dialled(beyond))

    def say(self, typed: str) -> Call:
        """Type 2."""
        return self._hop("2", typed)

    def hang_up(self) -> Call:
        """Type 3: the person is gone."""
        return self._hop("3", "")

    def hear(self, headers: Mapping[str, str], body: bytes) -> Heard:  # noqa: ARG002 - all is in the body
        """``msg`` and ``type``."""
        try:
            document = read(body, "ussd")
            kind, words = text(document, "type"), text(document, "msg")
        except Malformed as error:
            raise Misread(f"{error.field}: {error.reason}") from None
        if kind not in ENDS or words is None:
            raise Misread("type: neither 2 nor 3, or no msg")
        return Heard(words, ENDS[kind])

    def _hop(self, kind: str, words: str) -> Call:
        inside = (
            f"<msisdn>{self.digits}</msisdn><sessionid>{self.session_id}</sessionid>"
            f"<type>{kind}</type><msg>{content(words)}</msg>"
        )
        return Call(content_type=XML, body=f"{DECLARATION}<ussd>{inside}</ussd>".encode())
