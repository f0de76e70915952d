"""The messages of Nchf_ConvergedCharging as they are on the wire (TS 32.291 §6.1.6.2): what we read and what we write.

Information elements that charge nothing (location, PDU session details …) are not read; unknown ones are tolerated, as
TS 29.501 §6.6.2 asks.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

#: Uint64 in the specification; nobody uses a petabyte between two reports, and sums of these stay sums that books hold
MOST = 2**50
Count = Annotated[int, msgspec.Meta(ge=0, le=MOST)]
Uint32 = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
RatingGroup = Uint32
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """All have in common how fields are spelled and that what is not set is not written."""


class NFIdentification(Wire, frozen=True, kw_only=True):
    """Who charges."""

    node_functionality: Name
    n_f_name: str | None = msgspec.field(default=None, name="nFName")
    n_f_fqdn: str | None = msgspec.field(default=None, name="nFFqdn")


class Units(Wire, frozen=True, kw_only=True):
    """Requested, used or granted units. A rating group's quota is counted in one kind of them."""

    time: Uint32 | None = None
    total_volume: Count | None = None
    uplink_volume: Count | None = None
    downlink_volume: Count | None = None
    service_specific_units: Count | None = None


class UsedUnitContainer(Units, frozen=True, kw_only=True):
    """What was used since the last report. Number and time tell it from others of its request."""

    local_sequence_number: int
    trigger_timestamp: str | None = None


class MultipleUnitUsage(Wire, frozen=True, kw_only=True):
    """One rating group: what was used, and what is asked for (an empty ``requestedUnit`` asks for what is right).

    It comes once for each user plane function that serves it (``uPFID``).
    """

    rating_group: RatingGroup
    upf_id: Name | None = msgspec.field(default=None, name="uPFID")
    requested_unit: Units | None = None
    used_unit_container: Annotated[tuple[UsedUnitContainer, ...], msgspec.Meta(max_length=1000)] = ()


class UserInformation(Wire, frozen=True, kw_only=True):
    """Whose PDU session it is, beside the SUPI."""

    served_gpsi: Name | None = msgspec.field(default=None, name="servedGPSI")


class PDUSessionChargingInformation(Wire, frozen=True, kw_only=True):
    """Of a PDU session what names it (so that two creates of one subscriber are kept apart) and its subscriber."""

    charging_id: int | None = None
    s_m_fcharging_id: str | None = msgspec.field(default=None, name="sMFchargingId")
    user_information: UserInformation | None = None


class ChargingDataRequest(Wire, frozen=True, kw_only=True):
    """TS 32.291 §6.1.6.2.1.1."""

    nf_consumer_identification: NFIdentification
    invocation_time_stamp: datetime
    invocation_sequence_number: Uint32
    subscriber_identifier: Name | None = None
    charging_id: int | None = None
    retransmission_indicator: bool = False
    one_time_event: bool = False
    one_time_event_type: str | None = None
    notify_uri: Annotated[str, msgspec.Meta(pattern=r"^https?://\S+$", max_length=2000)] | None = None
    multiple_unit_usage: Annotated[tuple[MultipleUnitUsage, ...], msgspec.Meta(max_length=100)] = ()
    pdu_session_charging_information: PDUSessionChargingInformation | None = msgspec.field(
        default=None, name="pDUSessionChargingInformation"
    )


class RedirectServer(Wire, frozen=True, kw_only=True):
    """Where a subscriber without credit is sent."""

    redirect_address_type: str
    redirect_server_address: str


class FinalUnitIndication(Wire, frozen=True, kw_only=True):
    """The grant is the last one; what to do when it is used up."""

    final_unit_action: str
    redirect_server: RedirectServer | None = None


class MultipleUnitInformation(Wire, frozen=True, kw_only=True):
    """What one rating group may use now (§6.1.6.2.1.8)."""

    rating_group: int
    #: as the request that is answered said it: by this and the rating group an SMF finds where the quota belongs
    upf_id: str | None = msgspec.field(default=None, name="uPFID")
    result_code: str
    granted_unit: Units | None = None
    validity_time: int | None = None
    quota_holding_time: int | None = None
    final_unit_indication: FinalUnitIndication | None = None
    time_quota_threshold: int | None = None
    volume_quota_threshold: int | None = None
    unit_quota_threshold: int | None = None


class ChargingDataResponse(Wire, frozen=True, kw_only=True):
    """TS 32.291 §6.1.6.2.1.2."""

    invocation_time_stamp: datetime
    invocation_sequence_number: int
    multiple_unit_information: tuple[MultipleUnitInformation, ...] = ()


class ChargingNotifyRequest(Wire, frozen=True, kw_only=True):
    """What we tell the network element at its ``notifyUri`` (§6.1.6.2.1.3): of no rating group, it means all."""

    notification_type: str


class InvalidParam(Wire, frozen=True, kw_only=True):
    """One field and what is wrong with it."""

    param: str
    reason: str


class ProblemDetails(Wire, frozen=True, kw_only=True):
    """A refusal (TS 29.571 §5.2.4.1, RFC 9457)."""

    status: int
    cause: str
    detail: str
    invalid_params: tuple[InvalidParam, ...] = ()
