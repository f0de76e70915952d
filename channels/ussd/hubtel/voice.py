"""Hubtel as a caller: numbered hops, what we said last comes back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from channels.ussd import voice
from channels.ussd.voice import Call, Heard, Misread, json_of, said


class Voice(voice.Voice):
    """One session."""

    def __init__(self, session_id: str, msisdn: str, service_code: str) -> None:
        super().__init__(session_id, msisdn, service_code)
        self._hops = 0
        self._state = ""
        #: what the checkout was handed, once it was
        self.item: dict[str, Any] = {}

    def dial(self, beyond: str = "") -> Call:
        """The first hop."""
        return self._hop("initiation", self.dialled(beyond))

    def say(self, typed: str) -> Call:
        """The next hop."""
        return self._hop("response", typed)

    def hang_up(self) -> Call:
        """The person is gone."""
        return self._hop("release", "")

    def hear(self, headers: Mapping[str, str], body: bytes) -> Heard:  # noqa: ARG002 - all is in the body
        """``Message`` and ``Type``."""
        answer = json_of(body)
        kind = said(answer, "Type", str)
        if kind not in {"response", "release", "AddToCart"}:
            raise Misread("Type: neither response, release nor AddToCart")
        if kind == "AddToCart":
            self.item = said(answer, "Item", dict)
            said(self.item, "ItemId", str)
        if said(answer, "SessionId", str) != self.session_id:
            raise Misread("SessionId: another session's")
        for name in ("Label", "DataType", "FieldType"):
            said(answer, name, str)
        self._state = said(answer, "ClientState", str)
        return Heard(said(answer, "Message", str), kind != "response")

    def _hop(self, kind: str, message: str) -> Call:
        self._hops += 1
        return Call.json(
            {
                "SessionId": self.session_id,
                "ServiceCode": self.service_code,
                "Type": kind,
                "Message": message,
                "Operator": "mtn",
                "Platform": "USSD",
                "Mobile": self.digits,
                "ClientState": self._state,
                "Sequence": str(self._hops),
                "ExtraData": None,
            }
        )
