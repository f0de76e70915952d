"""Pages for people: the self-care portal, the operator's console, the phone simulator."""
