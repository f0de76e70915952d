"""The advisory locks that processes of an installation take from one another, each a number of its own."""

from __future__ import annotations

from enum import IntEnum, unique


@unique
class AdvisoryLock(IntEnum):
    """Any numbers, the same in every process for ever. 724353 and 724354 are the migrations' own."""

    #: whoever holds it decides whether to raise the alarm of guessed vouchers
    WATCH_VOUCHERS = 724355
    #: whoever holds it makes the audit chain
    SEAL_HISTORY = 724356
    #: one gives events to queues at a time, so that an account's events keep their order
    FAN_OUT = 724357
    #: whoever holds it walks on through the buckets that end soon
    TELL_EXPIRING = 724358
    #: with an account's hash: one process at a time counts what the account pays, and adds to it
    COUNT_PAYMENTS = 724359
