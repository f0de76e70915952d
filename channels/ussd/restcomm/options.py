"""What can be set for one RestComm gateway: ``gateways.<name>.options``."""

from __future__ import annotations

from pydantic import Field

from configuration.options import OptionsModel


class RestcommOptions(OptionsModel):
    """Where the gateway takes dialogues of ours."""

    #: ``http://host:8080/restcomm`` (``/mobicents`` in older releases); empty: it takes none
    push_url: str = Field(default="", pattern=r"^(https?://[^\s]+)?$")
    #: seconds that a person may take to answer one screen of a session of ours; MAP itself waits up to 10 minutes
    answer_seconds: int = Field(default=60, ge=5, le=600)
