"""Payments that were made, and where one is."""
