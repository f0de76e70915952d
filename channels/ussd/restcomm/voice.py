"""RestComm's gateway as a caller: dialogues known by their transaction ids, the number only in the first message."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

from channels.turn import Malformed
from channels.ussd import voice
from channels.ussd.restcomm.wire import ANSWERS, BEGINS
from channels.ussd.voice import Call, Heard, Misread
from channels.ussd.xml import DECLARATION, XML, attribute, read


class Voice(voice.Voice):
    """One session."""

    def __init__(self, session_id: str, msisdn: str, service_code: str) -> None:
        super().__init__(session_id, msisdn, service_code)
        digest = blake2b(session_id.encode(), digest_size=8).digest()
        self._local, self._remote = int.from_bytes(digest[:4]) + 1, int.from_bytes(digest[4:]) + 1

    def dial(self, beyond: str = "") -> Call:
        """``Begin``."""
        caller = f'<msisdn nai="international_number" npi="ISDN" number={attribute(self.digits)}/>'
        said = f'invokeId="0" dataCodingScheme="15" string={attribute(self.dialled(beyond))}'
        return self._dialog("Begin", f"<{BEGINS} {said}>{caller}</{BEGINS}>")

    def say(self, typed: str) -> Call:
        """``Continue``."""
        return self._dialog("Continue", f'<{ANSWERS} invokeId="0" dataCodingScheme="15" string={attribute(typed)}/>')

    def hang_up(self) -> Call:
        """The person has aborted."""
        return self._dialog("Abort", "", 'mapUserAbortChoice="isUserSpecificReason"')

    def hear(self, headers: Mapping[str, str], body: bytes) -> Heard:  # noqa: ARG002 - all is in the body
        """The string of the one message, and which message it is."""
        if not body:
            return Heard("", ends=True)
        try:
            root = read(body, "dialog")
        except Malformed as error:
            raise Misread(f"{error.field}: {error.reason}") from None
        ends = {"unstructuredSSRequest_Request": False, "processUnstructuredSSRequest_Response": True}
        messages = [child for child in root if child.tag in ends]
        if len(messages) != 1:
            raise Misread("dialog: not one message")
        return Heard(messages[0].get("string", ""), ends[messages[0].tag])

    def _dialog(self, kind: str, message: str, more: str = "") -> Call:
        ids = f'networkId="0" localId="{self._local}" remoteId="{self._remote}"'
        size = f'mapMessagesSize="{1 if message else 0}"'
        context = 'appCntx="networkUnstructuredSsContext_version2"'
        words = f'{DECLARATION}<dialog type="{kind}" {context} {ids} {size} {more}>{message}</dialog>'
        return Call(content_type=XML, body=words.encode())
