"""What a programmable service at Hubtel needs to be paid by its checkout."""

from __future__ import annotations

from pydantic import Field

from configuration.options import OptionsModel

STATUS = "https://api-txnstatus.hubtel.com"
FULFILMENT = "https://gs-callback.hubtel.com:9055/callback"


class HubtelOptions(OptionsModel):
    """``payment_gateways.<name>.options`` of the adapter ``hubtel``."""

    client_id: str = Field(min_length=1, repr=False)
    client_secret: str = Field(min_length=1, repr=False)
    #: the POS sales id (collection account) that is paid
    pos: str = Field(pattern=r"^[A-Za-z0-9-]{1,40}$")
    #: last path segment of the service's fulfilment address: Hubtel signs nothing
    path_secret: str = Field(pattern=r"^[A-Za-z0-9_]{16,64}$", repr=False)
    currency: str = Field(default="GHS", pattern=r"^[A-Z]{3}$")
    #: what people call it, on the screen where they choose how to pay; screens are checked for 12 characters
    brand: str = Field(default="Hubtel", pattern=r"^[^\x00-\x1f]{1,12}$")
    status_url: str = Field(default=STATUS, pattern=r"^https?://[^?#@\s]+$")
    fulfilment_url: str = Field(default=FULFILMENT, pattern=r"^https?://[^?#@\s]+$")
