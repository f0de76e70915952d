"""What an account at Twilio needs, and how its addresses are spelt."""

from __future__ import annotations

from pydantic import Field

from channels.sms.contract import OptionsModel

#: before the number of a WhatsApp user, in From and To alike
WHATSAPP = "whatsapp:"


class TwilioOptions(OptionsModel):
    """``carriers.<name>.options`` of the adapter ``twilio``."""

    account_sid: str = Field(pattern=r"^AC[0-9a-fA-F]{32}$")
    #: signs webhooks (HMAC-SHA1) and opens the REST interface
    auth_token: str = Field(min_length=1, repr=False)
    #: signs webhooks that name HMAC_SHA256; ``shared_key_id`` is the key's name in the header, empty accepts any
    shared_key: str = Field(default="", repr=False)
    shared_key_id: str = ""
    #: the number, short code or name that texts come from; by default the operator's sender
    sender: str = Field(default="", max_length=20)
    #: a messaging service picks the sender instead
    messaging_service_sid: str = Field(default="", pattern=r"^(MG[0-9a-fA-F]{32})?$")
    base_url: str = Field(default="https://api.twilio.com", pattern=r"^https?://[^/?#@]+$")
    #: seconds for one call
    timeout_seconds: int = Field(default=10, ge=1, le=60)
