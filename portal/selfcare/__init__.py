"""The self-care portal: what a subscriber does on a page instead of a phone. ``mount`` adds it to the server."""

from portal.selfcare.serving import PortalServices, mount

__all__ = ["PortalServices", "mount"]
