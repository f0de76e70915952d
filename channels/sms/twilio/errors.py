"""Twilio's error codes and what each means for a text. Source: twilio.com/docs/api/errors."""

from __future__ import annotations

from channels.sms.contract import ErrorKind

KINDS: dict[int, ErrorKind] = {
    # Too fast, or too much at once.
    14107: ErrorKind.THROTTLED,
    20429: ErrorKind.THROTTLED,
    21611: ErrorKind.THROTTLED,  # the sender's queue is full
    30001: ErrorKind.THROTTLED,  # queue overflow
    30022: ErrorKind.THROTTLED,
    63018: ErrorKind.THROTTLED,  # WhatsApp's own limit
    # Nobody can be reached there, or nobody wants to be.
    21211: ErrorKind.PERMANENT,  # not a number
    21602: ErrorKind.PERMANENT,  # nothing to say
    21610: ErrorKind.PERMANENT,  # the person said STOP
    21614: ErrorKind.PERMANENT,  # not a mobile number
    21617: ErrorKind.PERMANENT,  # longer than 1600 characters
    21635: ErrorKind.PERMANENT,  # a landline
    30005: ErrorKind.PERMANENT,  # unknown handset
    30006: ErrorKind.PERMANENT,  # a landline, or a carrier that cannot be reached
    # The handset may be back later; the network had trouble.
    30003: ErrorKind.RETRY,
    30017: ErrorKind.RETRY,
    30009: ErrorKind.RETRY,
    # It may have arrived.
    30008: ErrorKind.UNKNOWN,
}
#: A code that is not listed concerns our account, our sender or Twilio's routes (20003 not authenticated, 21408 no
#: permission for the region, 21606 not our sender, 21612 no route, 30004 blocked, 30007 filtered, 63016 outside
#: WhatsApp's window …): another carrier may deliver.
OTHERWISE = ErrorKind.REROUTE


def kind_of(code: int) -> ErrorKind:
    """What to do with a text that was refused with ``code``."""
    return KINDS.get(code, OTHERWISE)
