"""What an account at Africa's Talking needs."""

from __future__ import annotations

from pydantic import Field

from channels.sms.contract import OptionsModel

LIVE, SANDBOX = "https://api.africastalking.com", "https://api.sandbox.africastalking.com"


class AfricasTalkingOptions(OptionsModel):
    """``carriers.<name>.options`` of the adapter ``africastalking``."""

    #: ``sandbox`` goes to the sandbox
    username: str = Field(min_length=1)
    api_key: str = Field(min_length=1, repr=False)
    #: the short code or name that texts come from; by default the operator's sender; ``none`` leaves it to them
    sender: str = Field(default="", max_length=20)
    #: they take the text at once and send it when they can
    enqueue: bool = False
    #: by default what belongs to ``username``
    base_url: str = Field(default="", pattern=r"^(https?://[^/?#@]+)?$")
    #: seconds for one call
    timeout_seconds: int = Field(default=10, ge=1, le=60)

    @property
    def url(self) -> str:
        """Where the interface is."""
        return self.base_url or (SANDBOX if self.username == "sandbox" else LIVE)
