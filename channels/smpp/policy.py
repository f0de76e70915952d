"""What a status means for the request it answers, as data. Source of the statuses: SMPP 3.4 §5.1.3, SMPP 5.0 §4.7.6."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from channels.smpp.names import Status


class Verdict(StrEnum):
    """What to do with a request that was refused."""

    #: a passing trouble: the same request may do later
    RETRY = "retry"
    #: may be passing, but hardly a second time
    RETRY_ONCE = "retry_once"
    #: too fast: nothing more on this link for a while
    THROTTLED = "throttled"
    #: never
    PERMANENT = "permanent"
    #: the message centre does not serve this; another may
    REROUTE = "reroute"
    #: the link is not what we think it is: bind again
    REBIND = "rebind"
    #: the credentials are refused: binding again would hammer a locked door
    STOP = "stop"


VERDICTS: Mapping[int, Verdict] = {
    Status.RTHROTTLED: Verdict.THROTTLED,
    Status.RMSGQFUL: Verdict.THROTTLED,
    Status.RSYSERR: Verdict.RETRY,
    Status.RX_T_APPN: Verdict.RETRY,
    Status.RSUBMITFAIL: Verdict.RETRY_ONCE,
    Status.RUNKNOWNERR: Verdict.RETRY_ONCE,
    Status.RDELIVERYFAILURE: Verdict.RETRY_ONCE,
    Status.RINVMSGLEN: Verdict.PERMANENT,
    Status.RINVCMDLEN: Verdict.PERMANENT,
    Status.RINVCMDID: Verdict.PERMANENT,
    Status.RINVPRTFLG: Verdict.PERMANENT,
    Status.RINVREGDLVFLG: Verdict.PERMANENT,
    Status.RINVSRCADR: Verdict.PERMANENT,
    Status.RINVDSTADR: Verdict.PERMANENT,
    Status.RINVSERTYP: Verdict.PERMANENT,
    Status.RINVESMCLASS: Verdict.PERMANENT,
    Status.RINVSRCTON: Verdict.PERMANENT,
    Status.RINVSRCNPI: Verdict.PERMANENT,
    Status.RINVDSTTON: Verdict.PERMANENT,
    Status.RINVDSTNPI: Verdict.PERMANENT,
    Status.RINVSCHED: Verdict.PERMANENT,
    Status.RINVEXPIRY: Verdict.PERMANENT,
    Status.RINVDFTMSGID: Verdict.PERMANENT,
    Status.RX_P_APPN: Verdict.PERMANENT,
    Status.RX_R_APPN: Verdict.PERMANENT,
    Status.RINVTLVSTREAM: Verdict.PERMANENT,
    Status.RTLVNOTALLWD: Verdict.PERMANENT,
    Status.RINVTLVLEN: Verdict.PERMANENT,
    Status.RMISSINGTLV: Verdict.PERMANENT,
    Status.RINVTLVVAL: Verdict.PERMANENT,
    Status.RINVDCS: Verdict.PERMANENT,
    Status.RSERTYPUNAUTH: Verdict.REROUTE,
    Status.RPROHIBITED: Verdict.REROUTE,
    Status.RSERTYPUNAVAIL: Verdict.REROUTE,
    Status.RSERTYPDENIED: Verdict.REROUTE,
    Status.RINVBNDSTS: Verdict.REBIND,
    Status.RALYBND: Verdict.REBIND,
    Status.RBINDFAIL: Verdict.STOP,
    Status.RINVPASWD: Verdict.STOP,
    Status.RINVSYSID: Verdict.STOP,
    Status.RINVSYSTYP: Verdict.STOP,
}


def verdict(status: int, overrides: Mapping[int, Verdict] | None = None) -> Verdict:
    """What a status means; ``overrides`` are one message centre's own meanings.

    A status that nobody named, and the vendors' range (0x400 to 0x4FF) in which each centre has its own, is tried
    again: the tries are counted elsewhere, and a text given up for a passing trouble would be lost.
    """
    if overrides and status in overrides:
        return overrides[status]
    return VERDICTS.get(status, Verdict.RETRY)


def read_overrides(spelled: str) -> dict[int, Verdict]:
    """``0x402=permanent, 0x403=throttled`` as statuses and verdicts. Raises ``ValueError`` with what is wrong."""
    found: dict[int, Verdict] = {}
    for pair in filter(None, (part.strip() for part in spelled.split(","))):
        status, _, word = pair.partition("=")
        try:
            code, meant = int(status.strip(), 0), Verdict(word.strip())
        except ValueError:
            words = ", ".join(Verdict)
            raise ValueError(f"{pair!r} is no status with one of {words}") from None
        found[code] = meant
    return found
