"""Message centres spoken to over SMPP."""
