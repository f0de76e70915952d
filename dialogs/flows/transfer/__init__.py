"""Money and units sent from line to line, and taken back."""
