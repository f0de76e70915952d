"""Infobip as a caller: the path says which session and which step."""

from __future__ import annotations

from collections.abc import Mapping

from channels.ussd import voice
from channels.ussd.voice import Call, Heard, Misread, json_of, said


class Voice(voice.Voice):
    """One session."""

    def __init__(self, session_id: str, msisdn: str, service_code: str) -> None:
        super().__init__(session_id, msisdn, service_code)
        self._first = True

    def dial(self, beyond: str = "") -> Call:
        """``start``."""
        return self._hop("start", self.dialled(beyond))

    def say(self, typed: str) -> Call:
        """``response``."""
        self._first = False
        return self._hop("response", typed)

    def hang_up(self) -> Call:
        """``end``: the person is gone."""
        return Call.json({"exitCode": 500, "reason": "user abort"}, self._path("end"))

    def hear(self, headers: Mapping[str, str], body: bytes) -> Heard:  # noqa: ARG002 - all is in the body
        """``ussdMenu`` and ``shouldClose``."""
        answer = json_of(body)
        if said(answer, "responseExitCode", int) != 200:
            raise Misread("responseExitCode: not 200")
        said(answer, "responseMessage", str)
        if "ussdMenu" not in answer:
            return Heard("", ends=True)
        ends = said(answer, "shouldClose", bool)
        if ends and self._first:
            raise Misread("shouldClose: the very first message must be a menu")
        return Heard(said(answer, "ussdMenu", str), ends)

    def _hop(self, step: str, text: str) -> Call:
        content = {"msisdn": self.digits, "text": text, "shortCode": self.dialled("")}
        return Call.json(content, self._path(step))

    def _path(self, step: str) -> str:
        return f"/session/{self.session_id}/{step}"
