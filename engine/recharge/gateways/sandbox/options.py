"""What the sandbox needs."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from configuration.options import OptionsModel

Secret = Annotated[str, StringConstraints(min_length=8)]


class SandboxOptions(OptionsModel):
    """``payment_gateways.<name>.options`` of the adapter ``sandbox``."""

    base_url: str = Field(pattern=r"^https?://[^?#@\s]+$")
    api_key: str = Field(min_length=1, repr=False)
    #: what callbacks are signed with; several while they rotate
    webhook_secrets: tuple[Secret, ...] = Field(min_length=1, repr=False)
    #: only reserve, and take the money when the payment is confirmed
    hold: bool = False
    #: seconds that a signature may be old
    tolerance_seconds: int = Field(default=300, ge=1, le=3600)
