"""What an account at Stripe needs."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from configuration.options import OptionsModel

API_URL = "https://api.stripe.com"
Secret = Annotated[str, StringConstraints(min_length=8)]


class StripeOptions(OptionsModel):
    """``payment_gateways.<name>.options`` of the adapter ``stripe``."""

    secret_key: str = Field(min_length=1, repr=False)
    #: signing secrets of the webhook's endpoint; several while they rotate
    webhook_secrets: tuple[Secret, ...] = Field(min_length=1, repr=False)
    #: where the payer's browser comes back to after 3-D Secure and after Stripe's own page (``https://…/portal/paid``);
    #: without it a card that asks for 3-D Secure is declined, and no page is offered
    return_url: str = Field(default="", pattern=r"^(https?://\S+)?$")
    #: minutes that a card can be entered on Stripe's page (they allow 30 to 1440, counted from when it is made)
    page_minutes: int = Field(default=60, ge=35, le=1435)
    #: only reserve, and take the money when the payment is confirmed
    hold: bool = False
    #: seconds that a signature may be old
    tolerance_seconds: int = Field(default=300, ge=1, le=3600)
    #: seconds after which their search knows of every payment: before that, one it does not know is unknown
    search_lag_seconds: int = Field(default=600, ge=0, le=86_400)
    #: the version of the interface that this adapter reads
    api_version: str = Field(default="2024-06-20", pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(\.[a-z]+)?$")
    base_url: str = Field(default=API_URL, pattern=r"^https?://[^?#@\s]+$")
