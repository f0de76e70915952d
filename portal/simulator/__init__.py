"""Feature phones in the browser, their network, their payers, and what it all did to the books: for demonstrations.

The page speaks the gateway's own HTTP path, so what works here works behind the gateway. ``mount`` adds it to the
server; without that call nothing answers under ``/simulator``.
"""

from portal.simulator.pages import SimulatorServices, mount, offer_vouchers

__all__ = ["SimulatorServices", "mount", "offer_vouchers"]
