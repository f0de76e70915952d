"""Where every session begins."""
