"""The operator's file: what the dialogs say, in which order they offer it, and what they do not offer."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from configuration.base import Strict

#: the name of a dialog or of one of its states: ``advance``, ``main_menu.home``
DialogName = Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,32}$")]
StateName = Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,32}\.[a-z_]{1,32}$")]
Said = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class DialogRules(Strict):
    """Dialogs as this operator wants them. Whether that can work, ``dialogs.check`` says before it is served."""

    #: dialogs that nobody is offered: ``["advance"]``
    disabled: tuple[DialogName, ...] = ()
    #: screen → ids of its options in the order wanted; those not named follow in their own order
    order: dict[StateName, tuple[str, ...]] = Field(default={})
    #: language → what the product says in English → what this operator says instead, in that language. Where the
    #: wording depends on a number: the English wording for one → a wording for each plural form of the language
    texts: dict[str, dict[Said, Said | tuple[Said, ...]]] = Field(default={})
