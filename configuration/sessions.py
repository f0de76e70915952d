"""The operator's file: sessions that broke off, codes that lead straight to a screen, menus that we push."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from configuration.base import Strict

#: what is dialled behind the service code: ``5`` or ``5*1``. Longer numbers are amounts, telephone or voucher numbers
ShortcutCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,4}(\*[0-9]{1,4})*$")]
#: the way to a screen: the ids of the options to choose, one after the other, from the main menu on
Way = Annotated[tuple[Annotated[str, StringConstraints(min_length=1, max_length=64)], ...], Field(min_length=1)]


class SessionRules(Strict):
    """What becomes of a dialogue that broke off, and when we begin one ourselves."""

    #: minutes in which who dials again is asked whether to go on; 0: never. A session is not kept longer than that
    resume_minutes: int = Field(default=10, ge=0, le=10)
    #: what is dialled before the digits that lead back to a screen: ``*123*9*4821#``
    recovery_prefix: str = Field(default="9", pattern=r"^[0-9]{1,2}$")
    #: minutes that such a code is good for
    recovery_minutes: int = Field(default=60, ge=1, le=24 * 60)
    #: a low balance is shown as a menu on the phone's screen, where a gateway can, while the use that brought it about
    #: is at most so many minutes old; 0: always a text
    push_minutes: int = Field(default=5, ge=0, le=60)
    #: seconds that a pushed menu waits for an answer; then the text goes
    push_answer_seconds: int = Field(default=90, ge=10, le=600)
