"""Tables of dialogs: places that a dialled code leads back to, and menus that we have pushed."""

from __future__ import annotations

from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, UUID

from engine.storage.schema import Timestamp, metadata, one_of, shard


class PushState(StrEnum):
    """What has become of a menu that stands for a message."""

    #: given to a gateway, or about to be
    BEGUN = "begun"
    #: no gateway has shown it
    REFUSED = "refused"
    #: the person has answered it, so has read it
    ANSWERED = "answered"
    #: nobody answered: the message went out as a text instead
    TEXTED = "texted"


#: A place in the dialogs that a code leads back to, dialled from the same line, once. Gone when its time is over.
recovery_code = sa.Table(
    "recovery_code",
    metadata,
    shard(),
    sa.Column("account_id", UUID, primary_key=True),
    sa.Column("line_id", UUID, primary_key=True),
    sa.Column("code", sa.Text, primary_key=True),
    # What ``dialogs.words.Place`` holds: state, choices, way back, visits. No secret is among them.
    sa.Column("place", JSONB, nullable=False),
    # What the keys of its money steps are derived from.
    sa.Column("origin", UUID, nullable=False),
    sa.Column("expires_at", Timestamp, nullable=False),
    # The session that has used it: played again, it finds the same place.
    sa.Column("used_by", UUID),
    sa.Index("ix_recovery_code_expires", "expires_at"),
)

#: A message that went out as a menu on the phone's screen: it is told by one way only.
pushed_menu = sa.Table(
    "pushed_menu",
    metadata,
    shard(),
    sa.Column("message_id", UUID, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("begun_at", Timestamp, nullable=False),
    one_of("state", PushState),
    sa.Index("ix_pushed_menu_begun", "begun_at"),
)

#: A screen that somebody was shown, of sessions picked at random. Names nobody, and is forgotten after a month.
dialog_hop = sa.Table(
    "dialog_hop",
    metadata,
    shard(),
    # Keyed digest of gateway and session.
    sa.Column("session", sa.LargeBinary, primary_key=True),
    sa.Column("at", Timestamp, primary_key=True),
    sa.Column("gateway", sa.Text, nullable=False),
    sa.Column("language", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("ends", sa.Boolean, nullable=False),
    sa.Index("ix_dialog_hop_at", "at", postgresql_using="brin"),
)
