"""The installation: the network's and other systems' ways to us."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator
from pydantic.networks import IPvAnyNetwork

from configuration.base import NAME, Strict

#: what a client of the interfaces for other systems may do: charge sessions (Nchf), read balances, change them, report
#: and read usage, subscribe to events
Right = Literal["charging", "balances", "topup", "usage", "events"]


class WebhookSettings(Strict):
    """Whom events may be sent to. Without anything here: any public https address."""

    #: hosts by name, and networks, that may be called although they are private, by http too: ``crm.internal``,
    #: ``10.1.0.0/16``
    allow: tuple[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.:/_-]{1,255}$")], ...] = ()

    @field_validator("allow")
    @classmethod
    def _hosts_or_networks(cls, allow: tuple[str, ...]) -> tuple[str, ...]:
        for one in allow:
            if "/" in one or ":" in one:
                ip_network(one)
        return allow


class ApiKeySettings(Strict):
    """A client of the interfaces for other systems. Its key itself is nowhere here."""

    #: SHA-256 of the key, in hexadecimal
    digest: str = Field(pattern=r"^[0-9a-f]{64}$", repr=False)
    rights: frozenset[Right] = frozenset()


class RadiusClient(Strict):
    """One access server, or a proxy before several, that reports what sessions used (RFC 2866)."""

    #: where its packets come from; of networks that hold an address the smallest counts
    addresses: tuple[IPvAnyNetwork, ...] = Field(min_length=1)
    #: what both sides know; RFC 2865 §3 wants at least 16 octets
    secret: str = Field(min_length=1, max_length=253, repr=False)
    #: attribute → what it holds, in the order in which they are tried: whose session it is
    line_from: dict[
        Literal["3GPP-IMSI", "Chargeable-User-Identity", "Calling-Station-Id", "User-Name"], Literal["msisdn", "imsi"]
    ] = Field(
        default={
            "3GPP-IMSI": "imsi",
            "Chargeable-User-Identity": "msisdn",
            "Calling-Station-Id": "msisdn",
            "User-Name": "msisdn",
        },
        min_length=1,
    )
    #: what its traffic is rated as: one of the operator's rating groups
    rating_group: int = Field(default=0, ge=0, le=2**32 - 1)
    #: what is charged: its octets, or the seconds of its sessions
    unit: Literal["octets", "seconds"] = "octets"
    #: it counts as input what the person receives, against RFC 2866 §5.3
    swapped: bool = False
    #: where it takes CoA and Disconnect requests (RFC 5176); 0: nowhere
    coa_port: int = Field(default=3799, ge=0, le=65535)
    #: the Filter-Id that a CoA request names when there is something left, and when not; empty: Disconnect instead
    filter_active: str = Field(default="rasid-active", max_length=253)
    filter_exhausted: str = Field(default="rasid-exhausted", max_length=253)

    #: speed step of the operator's fair use → the Filter-Id that a CoA request names
    filter_speeds: dict[str, Annotated[str, StringConstraints(min_length=1, max_length=253)]] = Field(default={})

    @property
    def secret_bytes(self) -> bytes:
        """The secret as it is hashed."""
        return self.secret.encode()


class RadiusSettings(Strict):
    """The RADIUS accounting server (RFC 2866), a part of ``ussd_server.py``."""

    #: address and UDP port that it binds; port 0 takes any that is free
    host: str = "0.0.0.0"  # noqa: S104 - access servers send from outside; ``clients`` says which
    port: int = Field(default=1813, ge=0, le=65535)
    #: name in logs and metrics → who reports
    clients: dict[Annotated[str, NAME], RadiusClient] = Field(min_length=1)


class DiameterPeer(Strict):
    """A packet gateway or a Diameter agent that connects to us."""

    #: where it connects from; empty: anywhere
    addresses: tuple[IPvAnyNetwork, ...] = ()
    #: what its traffic is rated as where a request names no Rating-Group
    rating_group: int = Field(default=0, ge=0, le=2**32 - 1)


#: a DiameterIdentity (RFC 6733 §4.3.1): a fully qualified domain name
Identity = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,253}[A-Za-z0-9])?$")]


class DiameterSettings(Strict):
    """The online charging server for Gy (RFC 8506, TS 32.299), a part of ``ussd_server.py``."""

    #: address and TCP port that it binds; port 0 takes any that is free
    host: str = "0.0.0.0"  # noqa: S104 - peers connect from outside; ``peers`` says which
    port: int = Field(default=3868, ge=0, le=65535)
    #: who we are
    origin_host: Identity
    origin_realm: Identity
    #: Origin-Host → who may connect; ``*`` is whoever is not named
    peers: dict[Identity | Literal["*"], DiameterPeer] = Field(min_length=1)
    #: seconds of silence after which a peer is asked whether it is there (RFC 3539 §3.4.1: Tw)
    watchdog_seconds: float = Field(default=30.0, ge=0.1, le=600)
    #: what the network does with a session while no server answers it (RFC 8506 §8.14)
    failure_handling: Literal["terminate", "continue", "retry_and_terminate"] = "terminate"

    def peer(self, origin_host: str) -> DiameterPeer | None:
        """What is set for a peer; None if it may not connect."""
        return self.peers.get(origin_host, self.peers.get("*"))


USAGE_FIELD = r"^(msisdn|imsi|session|rating_group|category|uplink|downlink|seconds|messages|start|end)$"


class UsageFolder(Strict):
    """Where a collection point puts its files of usage records."""

    path: Path
    #: whose names its sessions have: sessions of ``nchf``, ``diameter`` and ``radius`` are compared with what was
    #: charged online, and not charged again
    interface: Annotated[str, NAME] = "files"
    #: field → what this collection point calls it: ``{ session = "chargingId", uplink = "dataVolumeUplink" }``
    columns: dict[Annotated[str, StringConstraints(pattern=USAGE_FIELD)], str] = Field(default={})
