"""The numbers of SMPP under their names: commands, statuses, optional parameters.

Source: SMPP 3.4 (issue 1.2) §5.1.2, §5.1.3 and §5.3; SMPP 5.0 §4.7.5, §4.7.6 and §4.8.1. On the wire each is an integer
and stays one here: a peer may send any value, and one that nobody named is no error.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

#: a response has its request's command id with this bit
RESPONSE: Final = 0x80000000


class Command(IntEnum):
    """What a PDU asks or answers (``command_id``)."""

    GENERIC_NACK = 0x80000000
    BIND_RECEIVER = 0x00000001
    BIND_RECEIVER_RESP = 0x80000001
    BIND_TRANSMITTER = 0x00000002
    BIND_TRANSMITTER_RESP = 0x80000002
    SUBMIT_SM = 0x00000004
    SUBMIT_SM_RESP = 0x80000004
    DELIVER_SM = 0x00000005
    DELIVER_SM_RESP = 0x80000005
    UNBIND = 0x00000006
    UNBIND_RESP = 0x80000006
    BIND_TRANSCEIVER = 0x00000009
    BIND_TRANSCEIVER_RESP = 0x80000009
    OUTBIND = 0x0000000B
    ENQUIRE_LINK = 0x00000015
    ENQUIRE_LINK_RESP = 0x80000015
    ALERT_NOTIFICATION = 0x00000102
    DATA_SM = 0x00000103
    DATA_SM_RESP = 0x80000103


class Status(IntEnum):
    """What became of a request (``command_status``), under the specification's names without ``ESME_``."""

    ROK = 0x00
    RINVMSGLEN = 0x01
    RINVCMDLEN = 0x02
    RINVCMDID = 0x03
    RINVBNDSTS = 0x04
    RALYBND = 0x05
    RINVPRTFLG = 0x06
    RINVREGDLVFLG = 0x07
    RSYSERR = 0x08
    RINVSRCADR = 0x0A
    RINVDSTADR = 0x0B
    RINVMSGID = 0x0C
    RBINDFAIL = 0x0D
    RINVPASWD = 0x0E
    RINVSYSID = 0x0F
    RMSGQFUL = 0x14
    RINVSERTYP = 0x15
    RINVESMCLASS = 0x43
    RSUBMITFAIL = 0x45
    RINVSRCTON = 0x48
    RINVSRCNPI = 0x49
    RINVDSTTON = 0x50
    RINVDSTNPI = 0x51
    RINVSYSTYP = 0x53
    RTHROTTLED = 0x58
    RINVSCHED = 0x61
    RINVEXPIRY = 0x62
    RINVDFTMSGID = 0x63
    RX_T_APPN = 0x64
    RX_P_APPN = 0x65
    RX_R_APPN = 0x66
    RINVTLVSTREAM = 0xC0
    RTLVNOTALLWD = 0xC1
    RINVTLVLEN = 0xC2
    RMISSINGTLV = 0xC3
    RINVTLVVAL = 0xC4
    RDELIVERYFAILURE = 0xFE
    RUNKNOWNERR = 0xFF
    #: SMPP 5.0 only
    RSERTYPUNAUTH = 0x100
    RPROHIBITED = 0x101
    RSERTYPUNAVAIL = 0x102
    RSERTYPDENIED = 0x103
    RINVDCS = 0x104


class Tag(IntEnum):
    """An optional parameter (TLV)."""

    RECEIPTED_MESSAGE_ID = 0x001E
    USER_MESSAGE_REFERENCE = 0x0204
    USER_RESPONSE_CODE = 0x0205
    SAR_MSG_REF_NUM = 0x020C
    SAR_TOTAL_SEGMENTS = 0x020E
    SAR_SEGMENT_SEQNUM = 0x020F
    SC_INTERFACE_VERSION = 0x0210
    NETWORK_ERROR_CODE = 0x0423
    MESSAGE_PAYLOAD = 0x0424
    DELIVERY_FAILURE_REASON = 0x0425
    MORE_MESSAGES_TO_SEND = 0x0426
    MESSAGE_STATE = 0x0427
    CONGESTION_STATE = 0x0428
    #: SMPP 5.0 §4.8.4.64: which operation of a USSD session this is
    USSD_SERVICE_OP = 0x0501
    #: session number and, in the lowest bit, its end
    ITS_SESSION_INFO = 0x1383


class ServiceOp(IntEnum):
    """What a USSD message does (``ussd_service_op``, SMPP 5.0 §4.8.4.64); 32 to 255 are the vendors' own.

    An *indication* comes from a person, a *response* ends what they began; a *request* asks them for an answer, which
    comes as its *confirm*; a *notify* asks for nothing.
    """

    PSSD_INDICATION = 0
    PSSR_INDICATION = 1
    USSR_REQUEST = 2
    USSN_REQUEST = 3
    PSSD_RESPONSE = 16
    PSSR_RESPONSE = 17
    USSR_CONFIRM = 18
    USSN_CONFIRM = 19


def command_name(command: int) -> str:
    """``submit_sm``; a command that nobody named as ``0x0000abcd``."""
    try:
        return Command(command).name.lower()
    except ValueError:
        return f"0x{command:08x}"


def status_name(status: int) -> str:
    """``ESME_RTHROTTLED``; a status that nobody named, a vendor's most likely, as ``0x00000402``."""
    try:
        return f"ESME_{Status(status).name}"
    except ValueError:
        return f"0x{status:08x}"
