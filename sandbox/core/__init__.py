"""A packet core on this machine: charging sessions over Nchf_ConvergedCharging (3GPP TS 32.290, TS 32.291)."""

from sandbox.core.server import PacketCore

__all__ = ["PacketCore"]
