"""The ``<dialog>`` of RestComm's gateway: reads what came, writes what goes. Pure, no I/O.

Source: the gateway's administration guide (HTTP transfer mechanism; configuring) and its class ``XmlMAPDialog``. A
dialog holds at most one MAP message (3GPP TS 29.002 §11), whose text stands in the attribute ``string``. Line ends in
it are ``&#10;``. ``dataCodingScheme`` is 15 for the GSM alphabet and 72 for UCS-2 (3GPP TS 23.038 §5).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from channels.layout import septets
from channels.turn import Malformed
from channels.ussd.fields import PHONE_NUMBER, typed
from channels.ussd.xml import DECLARATION, attribute, read

PLAIN_CODING, UCS2_CODING = 15, 72
BEGINS: Final = "processUnstructuredSSRequest_Request"
ANSWERS: Final = "unstructuredSSRequest_Response"
NOTIFIED: Final = "unstructuredSSNotify_Response"
MESSAGES: Final = (BEGINS, ANSWERS, NOTIFIED)
#: attributes that say that the dialogue is over, and how
ENDS: Final = {
    "mapUserAbortChoice": "user_abort",
    "mapAbortProviderReason": "provider_abort",
    "mapRefuseReason": "refused",
    "dialogTimedOut": "timeout",
    "invokeTimedOut": "timeout",
}
#: ``errComponents`` with something in it, and a dialogue without any message
FAILED, CLOSED = "error", "closed"
OUTCOMES: Final = frozenset({*ENDS.values(), FAILED, CLOSED})
INVOKE_ID = re.compile(r"-?[0-9]{1,3}")
TRANSACTION_ID = re.compile(r"[0-9]{1,20}")
INTERNATIONAL: Final = frozenset({"international_number", "1"})


class Dialog(NamedTuple):
    """A dialogue's next message, or its end."""

    #: one of ``MESSAGES``; empty where the dialogue is over
    message: str
    #: one of ``OUTCOMES``; empty while the dialogue goes on
    outcome: str = ""
    text: str = ""
    invoke_id: str = ""
    #: the person's number; only the first message has it
    msisdn: str = ""
    #: the two transaction ids: the dialogue's name while it lasts; empty where the gateway sends none
    transaction: str = ""

    def __repr__(self) -> str:
        return f"Dialog({self.message or self.outcome})"


def parse(body: bytes, *, told: bool = False) -> Dialog:
    """What the gateway sent; after a notify (``told``) it may confirm under either response's name, without a text.

    Raises ``Malformed``.
    """
    root = read(body, "dialog")
    transaction = _transaction(root.attrib)
    messages = [child for child in root if child.tag in MESSAGES]
    outcome = next((ended for name, ended in ENDS.items() if root.get(name, "false").lower() != "false"), "")
    errors = root.find("errComponents")
    if not outcome and errors is not None and len(errors):
        outcome = FAILED
    if outcome or not messages:
        return Dialog("", outcome or CLOSED, transaction=transaction)
    if len(messages) > 1:
        raise Malformed("dialog", "more than one message")
    (message,) = messages
    text = typed(message.attrib, "string", required=not told and message.tag != NOTIFIED)
    invoke_id = message.get("invokeId", "0")
    if not INVOKE_ID.fullmatch(invoke_id):
        raise Malformed("invokeId", "not well-formed")
    numbers = [one for one in (message.find("msisdn"), root.find("originationReference")) if one is not None]
    msisdn = _number(numbers[0].attrib) if numbers else ""
    return Dialog(message.tag, "", text, invoke_id, msisdn, transaction)


def asks(text: str, msisdn: str = "") -> bytes:
    """A screen that is answered; ``msisdn`` (E.164) begins a dialogue of ours with it."""
    return _dialog('mapMessagesSize="1"', "unstructuredSSRequest_Request", _said(text), msisdn)


def finishes(text: str, invoke_id: str) -> bytes:
    """The last screen of a dialogue that a person began; ``invoke_id`` is that of their first message."""
    said = f"invokeId={attribute(invoke_id)} {_said(text)}"
    return _dialog('mapMessagesSize="1" prearrangedEnd="false"', "processUnstructuredSSRequest_Response", said)


def notifies(text: str, msisdn: str = "") -> bytes:
    """A screen that nobody answers; ``msisdn`` (E.164) begins a dialogue of ours with it."""
    return _dialog('mapMessagesSize="1"', "unstructuredSSNotify_Request", _said(text), msisdn)


def releases() -> bytes:
    """The end of a dialogue of ours."""
    return f'{DECLARATION}<dialog mapMessagesSize="0" prearrangedEnd="false"/>'.encode()


def _transaction(attributes: dict[str, str]) -> str:
    """Transaction ids of 0 are those of a dialogue that never came to be."""
    local, remote, network = (attributes.get(name, "") for name in ("localId", "remoteId", "networkId"))
    for name, value in (("localId", local), ("remoteId", remote), ("networkId", network)):
        if value and not TRANSACTION_ID.fullmatch(value):
            raise Malformed(name, "not well-formed")
    return f"{network or 0}-{local}-{remote}" if local.strip("0") else ""


def _number(attributes: dict[str, str]) -> str:
    digits = attributes.get("number", "")
    if not PHONE_NUMBER.fullmatch(digits):
        raise Malformed("msisdn", "not well-formed" if digits else "missing")
    plus = "+" if attributes.get("nai") in INTERNATIONAL and not digits.startswith("+") else ""
    return plus + digits


def _said(text: str) -> str:
    coding = UCS2_CODING if septets(text) is None else PLAIN_CODING
    return f'dataCodingScheme="{coding}" string={attribute(text)}'


def _dialog(state: str, message: str, said: str, msisdn: str = "") -> bytes:
    inside = ""
    if msisdn:
        number = attribute(msisdn.removeprefix("+"))
        inside = f'<msisdn nai="international_number" npi="ISDN" number={number}/>'
    element = f"<{message} {said}>{inside}</{message}>" if inside else f"<{message} {said}/>"
    return f"{DECLARATION}<dialog {state}>{element}</dialog>".encode()
