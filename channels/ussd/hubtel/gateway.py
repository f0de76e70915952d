"""Hubtel Programmable Services, the USSD part.

Request: POST of JSON ``SessionId ServiceCode Type Message Operator Platform Mobile ClientState Sequence ExtraData``.
``Type`` is ``initiation`` (``Message`` is what was dialled, or blank from an app), ``response`` (the latest input),
``release`` or ``timeout``; the official SDK also knows ``query`` and ``favorite``, which begin a session too.
``Sequence`` numbers the hops, as a string or as a number. ``ServiceCode`` is ``711*2``, or a service's id from apps: a
shortcut is what ``Message`` has behind it (``714*5`` and ``*714*5*3*100*1#``: ``3*100*1``).

Answer: 200, JSON ``SessionId Type Message Label ClientState DataType FieldType``; ``Type`` is ``response`` while the
session goes on and ``release`` when it is over. ``ClientState`` comes back once, with the next request.

Where money is to be taken ``Type`` is ``AddToCart`` with ``Item`` (``ItemName Qty Price ItemId``, the price in major
units): the session is over for us, and Hubtel asks the payer. The official SDK writes ``Release`` with ``Item`` on
USSD: option ``cart``.

Source: businessdocs-developers.hubtel.com (programmable services), hubtel.readme.io, and the classes of
hubtel/programmable-services-sdk-dotnet. The idle limit of about two minutes: docs.page/nexlabstudio/starhash-docs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

import msgspec
from babel.numbers import get_currency_precision

from channels.turn import Event, Malformed, Reply, Turn
from channels.ussd.contract import Adapter, Options, Request, Response, SessionEnd
from channels.ussd.fields import SEQUENCE, SESSION_ID, dialled, json_object, number, optional, typed, word
from configuration.options import OptionsModel, read_options

TYPE = re.compile(r"[A-Za-z]{1,20}")
SERVICE_CODE = re.compile(r"[A-Za-z0-9*#_-]{1,80}")
EVENTS = {
    "initiation": Event.NEW,
    "query": Event.NEW,
    "favorite": Event.NEW,
    "response": Event.RESUME,
    "release": Event.CLOSE,
    "timeout": Event.CLOSE,
}
#: what a list of sessions or an app's page shows of a screen: its first line, no longer than this
LABEL_LENGTH = 40
_ENCODER = msgspec.json.Encoder(decimal_format="number")


class HubtelOptions(OptionsModel):
    """``gateways.<name>.options`` of the adapter ``hubtel``."""

    #: the ``Type`` of an answer that hands over to the checkout
    cart: Literal["AddToCart", "release"] = "AddToCart"


class Gateway(Adapter):
    """The adapter of one configured Hubtel service."""

    session_seconds = 180
    takes_money = True
    outcomes = frozenset(word for word, event in EVENTS.items() if event is Event.CLOSE)

    def __init__(self, name: str, service_code: str, options: Options) -> None:
        """``name``: the instance in the settings. ``service_code``: what people dial, without ``*`` and ``#``."""
        self._cart = read_options(HubtelOptions, options).cart
        self._name = name
        self._service_code = service_code

    def read(self, request: Request) -> Turn | SessionEnd:
        """A hop, or the session's end. Raises ``Malformed``."""
        fields = json_object(request.body)
        kind = word(fields, "Type", TYPE).lower()
        event = EVENTS.get(kind)
        if event is None:
            raise Malformed("Type", "not known")
        if event is Event.CLOSE:
            return SessionEnd(turn=self._turn(fields, event, ""), outcome=kind)
        text = typed(fields, "Message", required=event is Event.RESUME)
        return self._turn(fields, event, text)

    def write(self, reply: Reply, turn: Turn) -> Response:
        """``response`` or ``release`` with the screen, or what the cart holds; the state's name as what comes back."""
        content: dict[str, Any] = {
            "SessionId": turn.session_id,
            "Type": "release" if reply.ends else "response",
            "Message": reply.text,
            "Label": reply.text.partition("\n")[0][:LABEL_LENGTH],
            "ClientState": reply.label,
            "DataType": "display" if reply.ends else "input",
            "FieldType": "text",
        }
        asked = reply.checkout
        if asked is not None:
            price = Decimal(asked.amount).scaleb(-get_currency_precision(asked.currency))
            item = {"ItemName": asked.name, "Qty": 1, "Price": price, "ItemId": asked.reference}
            content |= {"Type": self._cart, "Item": item}
        return _json(200, content)

    def write_malformed(self, error: Malformed) -> Response:
        """400 with the field and the reason."""
        return _json(400, {"Type": "release", "Message": f"Malformed request: {error.field}: {error.reason}"})

    def write_event(self, ended: SessionEnd) -> Response:
        """A last answer that says nothing: nobody reads it."""
        return self.write(Reply(text="", ends=True), ended.turn)

    def _turn(self, fields: Mapping[str, Any], event: Event, text: str) -> Turn:
        code = optional(fields, "ServiceCode", SERVICE_CODE) or self._service_code
        return Turn(
            channel="ussd",
            gateway=self._name,
            session_id=word(fields, "SessionId", SESSION_ID),
            msisdn=number(fields, "Mobile"),
            text=dialled(text, code) if event is Event.NEW else text,
            event=event,
            sequence=optional(fields, "Sequence", SEQUENCE),
            service_code=f"*{code.strip('*#')}#",
        )


def _json(status: int, content: Mapping[str, Any]) -> Response:
    return Response(status, "application/json", _ENCODER.encode(content))
