"""What a shortcode at M-Pesa needs."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from configuration.options import OptionsModel

LIVE = "https://api.safaricom.co.ke"


class MpesaOptions(OptionsModel):
    """``payment_gateways.<name>.options`` of the adapter ``mpesa``."""

    consumer_key: str = Field(min_length=1, repr=False)
    consumer_secret: str = Field(min_length=1, repr=False)
    #: the paybill's or the head office's number
    shortcode: str = Field(pattern=r"^[0-9]{5,7}$")
    passkey: str = Field(min_length=1, repr=False)
    #: ``till`` buys goods: then ``till`` is the number that is paid, and ``shortcode`` its head office
    kind: Literal["paybill", "till"] = "paybill"
    till: str = Field(default="", pattern=r"^([0-9]{5,8})?$")
    #: who asks for reversals and for the status of a receipt; the credential is the password, encrypted for Safaricom
    initiator: str = ""
    security_credential: str = Field(default="", repr=False)
    #: beginning of the callbacks' last path segment that belong to no push: C2B, and results of reversals and queries
    path_secret: str = Field(default="", pattern=r"^([A-Za-z0-9_]{16,64})?$", repr=False)
    base_url: str = Field(default=LIVE, pattern=r"^https?://[^?#@\s]+$")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.kind == "till") != bool(self.till):
            raise ValueError("till: belongs to the kind till, and to no other")
        if bool(self.initiator) != bool(self.security_credential) or bool(self.initiator) != bool(self.path_secret):
            raise ValueError("initiator, security_credential and path_secret go together: results come to that path")
        return self
