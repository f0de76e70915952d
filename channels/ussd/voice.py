"""The gateway's side of its wire format: what it sends us, and how it reads what we answer.

``manage.py gateway check`` speaks with it to a running server, and so do the tests. A voice is a module
``channels/ussd/<name>/voice.py`` with a class ``Voice``; a data file's is made from the file
(``channels.ussd.voices`` finds either).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


class Call(NamedTuple):
    """One request of the gateway."""

    method: str = "POST"
    #: behind our address: ``/session/1/start``
    path: str = ""
    query: Mapping[str, str] = {}
    content_type: str = ""
    body: bytes = b""

    @classmethod
    def json(cls, content: Mapping[str, Any], path: str = "") -> Call:
        """A POST of a JSON object."""
        return cls(path=path, content_type=JSON, body=msgspec.json.encode(content))

    @classmethod
    def form(cls, fields: Mapping[str, str], path: str = "") -> Call:
        """A POST of a form."""
        return cls(path=path, content_type=FORM, body=urlencode(fields).encode())


class Heard(NamedTuple):
    """An answer of ours as the gateway reads it."""

    text: str
    ends: bool


class Misread(Exception):
    """The gateway could not read our answer. ``args[0]`` is the reason."""


class Voice(ABC):
    """One session of a gateway."""

    def __init__(self, session_id: str, msisdn: str, service_code: str) -> None:
        """``msisdn``: E.164 with ``+``. ``service_code``: without ``*`` and ``#``."""
        self.session_id = session_id
        self.msisdn = msisdn
        self.service_code = service_code

    @abstractmethod
    def dial(self, beyond: str = "") -> Call:
        """The first hop; ``beyond`` is dialled behind the code: ``2*50``."""
        ...

    @abstractmethod
    def say(self, typed: str) -> Call:
        """The next hop."""
        ...

    @abstractmethod
    def hear(self, headers: Mapping[str, str], body: bytes) -> Heard:
        """What an answer of status 200 says. Raises ``Misread``."""
        ...

    def hang_up(self) -> Call | None:
        """The gateway's word that the person is gone; None where it has none."""
        return None

    @property
    def digits(self) -> str:
        """The number as most gateways send it: without the plus sign."""
        return self.msisdn.removeprefix("+")

    def dialled(self, beyond: str) -> str:
        """``*123#`` or ``*123*2*50#``."""
        return f"*{self.service_code}*{beyond}#" if beyond else f"*{self.service_code}#"


def json_of(body: bytes) -> dict[str, Any]:
    """The JSON object of an answer. Raises ``Misread``."""
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError:
        raise Misread("not JSON") from None
    if not isinstance(found, dict):
        raise Misread("not a JSON object")
    return found


def said(fields: Mapping[str, Any], name: str, kind: type) -> Any:
    """A field of an answer that must be there. Raises ``Misread``."""
    value = fields.get(name)
    if not isinstance(value, kind):
        raise Misread(f"{name}: {'missing' if value is None else f'not a {kind.__name__}'}")
    return value
