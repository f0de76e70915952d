"""Africa's Talking as a caller: a form whose text grows, ``CON`` and ``END`` back."""

from __future__ import annotations

from collections.abc import Mapping

from channels.ussd import voice
from channels.ussd.voice import Call, Heard, Misread


class Voice(voice.Voice):
    """One session."""

    def __init__(self, session_id: str, msisdn: str, service_code: str) -> None:
        super().__init__(f"ATUid_{session_id}", msisdn, service_code)
        self._inputs: list[str] = []

    def dial(self, beyond: str = "") -> Call:
        """The first hop: what is dialled behind the code is its text."""
        self._inputs = [beyond] if beyond else []
        return self._hop()

    def say(self, typed: str) -> Call:
        """The next hop."""
        self._inputs.append(typed)
        return self._hop()

    def hear(self, headers: Mapping[str, str], body: bytes) -> Heard:  # noqa: ARG002 - the label is for statistics
        """What stands behind ``CON `` or ``END ``."""
        words = body.decode()
        if words[:4] not in {"CON ", "END "}:
            raise Misread("begins with neither CON nor END")
        return Heard(words[4:], words.startswith("END"))

    def _hop(self) -> Call:
        return Call.form(
            {
                "sessionId": self.session_id,
                "phoneNumber": self.msisdn,
                "networkCode": "99999",
                "serviceCode": self.dialled(""),
                "text": "*".join(self._inputs),
            }
        )
