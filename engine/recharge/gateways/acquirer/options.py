"""What a connection to an acquiring bank needs."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from configuration.options import OptionsModel


class AcquirerOptions(OptionsModel):
    """``payment_gateways.<name>.options`` of the adapter ``acquirer``."""

    host: str = Field(min_length=1)
    port: int = Field(ge=1, le=65535)
    #: TLS with the system's authorities
    tls: bool = False
    #: what the bank has named us (fields 32, 41 and 42)
    acquirer_id: str = Field(pattern=r"^[0-9]{1,11}$")
    terminal_id: str = Field(pattern=r"^[A-Za-z0-9]{1,8}$")
    merchant_id: str = Field(pattern=r"^[A-Za-z0-9]{1,15}$")
    #: merchant category (ISO 18245): 4814, telecommunication services
    category: str = Field(default="4814", pattern=r"^[0-9]{4}$")
    #: the one currency of the contract: letters and number of ISO 4217
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    currency_number: str = Field(pattern=r"^[0-9]{3}$")
    #: only authorise (0100), and take the money by an advice (0220) when the payment is confirmed
    hold: bool = False
    #: ``reverse``: a payment without an answer is taken back, again and again until that is answered; ``inquire``: the
    #: bank answers questions (0600) about a payment, so it is asked
    on_timeout: Literal["reverse", "inquire"] = "reverse"
    #: seconds of silence after which the line is tried
    echo_seconds: int = Field(default=60, ge=1, le=600)
