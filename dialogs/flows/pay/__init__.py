"""Recharge by paying: mobile money or a saved card, for oneself or for another number."""
