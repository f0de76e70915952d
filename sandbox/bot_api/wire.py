"""What goes over the wire: parameters however they are sent, refusals, and what may be in a message.

Source: https://core.telegram.org/bots/api, "Making requests" and the limits at each method.
"""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

Json = dict[str, Any]

#: characters of a message, and bytes that a button carries
TEXT_MOST, DATA_MOST = 4096, 64
#: parameters that are objects: JSON text where they come in a form
NESTED = {"reply_markup", "commands", "allowed_updates", "scope"}


class Refused(Exception):
    """An answer of the server that is not ok."""

    def __init__(self, status: int, description: str, parameters: Json | None = None) -> None:
        super().__init__(status, description)
        self.status = status
        self.body: Json = {"ok": False, "error_code": status, "description": description}
        if parameters:
            self.body["parameters"] = parameters


async def parameters(request: web.Request) -> Json:
    """Query, form or JSON, as the real server takes them. Raises ``Refused``."""
    given: Json = dict(request.query)
    try:
        if request.content_type == "application/json":
            return given | dict(await request.json())
        for name, value in (await request.post()).items():
            given[name] = json.loads(str(value)) if name in NESTED else value
    except (ValueError, TypeError):
        raise Refused(400, "Bad Request: can't parse the parameters") from None
    return given


def number(given: Json, name: str) -> int:
    """A parameter that is a number. Raises ``Refused``."""
    try:
        return int(given[name])
    except KeyError:
        raise Refused(400, f"Bad Request: {name} is empty") from None
    except (ValueError, TypeError):
        raise Refused(400, f"Bad Request: {name} must be a number") from None


def text(given: Json) -> str:
    """The text of a message. Raises ``Refused``."""
    said = str(given.get("text", ""))
    if not said.strip():
        raise Refused(400, "Bad Request: message text is empty")
    if len(said) > TEXT_MOST:
        raise Refused(400, "Bad Request: MESSAGE_TOO_LONG")
    return said.strip()


def markup(given: Json) -> Json:
    """The inline keyboard under a message as ``{"reply_markup": …}``, or nothing. Raises ``Refused``."""
    keyboard = given.get("reply_markup")
    if not keyboard or not keyboard.get("inline_keyboard"):
        return {}
    for row in keyboard["inline_keyboard"]:
        for button in row:
            if not 1 <= len(str(button.get("callback_data", "")).encode()) <= DATA_MOST:
                raise Refused(400, "Bad Request: BUTTON_DATA_INVALID")
    return {"reply_markup": keyboard}
