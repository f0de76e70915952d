"""SMPP: the protocol, a client of it, and what its messages say. Knows neither texts to people nor USSD dialogs."""
