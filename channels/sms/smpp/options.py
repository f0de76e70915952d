"""What can be set for one message centre: ``carriers.<name>.options`` of the adapter ``smpp``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from channels.smpp.options import CentreOptions
from channels.smpp.parts import Long


class SmppOptions(CentreOptions):
    """One message centre that texts go through."""

    #: whether it takes Latin-1 (``data_coding`` 3); if not, such texts go as UCS-2
    latin1: bool = True
    #: how it wants texts that are longer than one message
    long: Long = Long.UDH
    #: how the sender's address is typed; -1: by what it looks like
    source_ton: int = Field(default=-1, ge=-1, le=255)
    source_npi: int = Field(default=-1, ge=-1, le=255)
    #: how long it may try to deliver, as SMPP spells it (``000001000000000R`` is a day); empty: its own choice
    validity_period: str = Field(default="", pattern=r"^([0-9]{12}[0-9]{3}[R+-])?$")

    #: when a part of a long text from a person is acknowledged: once the whole has been handled, or once it is stored.
    #: ``whole`` loses nothing, ever; ``stored`` is for centres that send the next part only after an answer
    parts_acknowledged: Literal["whole", "stored"] = "whole"
    #: seconds that a part waits unanswered for the others before the centre is asked to send it again
    parts_seconds: int = Field(default=3, ge=1, le=60)
    #: how receipts spell the ids of answers; ``any`` looks for all
    receipt_ids: Literal["any", "same"] = "any"
