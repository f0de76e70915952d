"""Pages for people: the phone simulator, later the self-care portal and the operator console."""
