"""Set, change and ask for the PIN."""
