"""The demo's USSD gateways: one for each format, and the sizes of screen that there are."""

from __future__ import annotations

from channels.turn import Profile
from channels.ussd.configured import profiles
from settings import GatewaySettings

#: Some networks and aggregators grant fewer characters than the 182 of one USSD string; the simulator can show each.
#: They count characters, so the 80 UCS-2 units of the string (3GPP TS 23.038: 160 octets) stay what they are.
GATEWAYS = {
    "africastalking": {"adapter": "africastalking", "septets": 182, "ucs2": 80},
    "africastalking-160": {"adapter": "africastalking", "septets": 160, "ucs2": 80},
    "africastalking-120": {"adapter": "africastalking", "septets": 120, "ucs2": 80},
    "infobip": {"adapter": "infobip", "septets": 182, "ucs2": 80},
    "restcomm": {"adapter": "restcomm", "septets": 182, "ucs2": 80},
    # What these grant is not written down, so the least that is common: 160.
    **{
        name: {"adapter": name, "septets": 160, "ucs2": 80}
        for name in ("hubtel", "arkesel", "junebug", "comviva", "truroute")
    },
    "nalo": {"adapter": "nalo", "septets": 120, "ucs2": 80},
}


def demo_profiles() -> dict[str, Profile]:
    """The demo's gateways, on which dialogs are checked where no settings name others."""
    return profiles({name: GatewaySettings.model_validate(given) for name, given in GATEWAYS.items()})
