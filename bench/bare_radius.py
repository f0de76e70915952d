"""The floor of RADIUS: pyrad's own server, which reads, checks and answers and does nothing else.

``python -m bench.bare_radius PORT SECRET``
"""

from __future__ import annotations

import io
import sys
from typing import Any

from pyrad.dictionary import Dictionary  # type: ignore[import-untyped]
from pyrad.server import RemoteHost, Server  # type: ignore[import-untyped]

#: numbers and types of RFC 2865, 2866 and 2869
_DICTIONARY = """
ATTRIBUTE Calling-Station-Id 31 string
ATTRIBUTE NAS-Identifier 32 string
ATTRIBUTE Acct-Status-Type 40 integer
ATTRIBUTE Acct-Input-Octets 42 integer
ATTRIBUTE Acct-Output-Octets 43 integer
ATTRIBUTE Acct-Session-Id 44 string
ATTRIBUTE Acct-Session-Time 46 integer
"""


class Bare(Server):  # type: ignore[misc]
    """Answers every accounting request."""

    def HandleAcctPacket(self, pkt: Any) -> None:  # noqa: N802 - pyrad's name for it
        """One request; its secret and authenticator have been checked."""
        self.SendReplyPacket(pkt.fd, self.CreateReplyPacket(pkt))


def main() -> None:
    """Serve until killed."""
    port, secret = int(sys.argv[1]), sys.argv[2].encode()
    hosts = {"127.0.0.1": RemoteHost("127.0.0.1", secret, "bench")}
    server = Bare(
        addresses=["127.0.0.1"],
        acctport=port,
        hosts=hosts,
        dict=Dictionary(io.StringIO(_DICTIONARY)),
        auth_enabled=False,
        acct_enabled=True,
        enable_pkt_verify=True,
    )
    server.Run()


if __name__ == "__main__":
    main()
