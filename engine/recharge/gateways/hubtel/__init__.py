"""Hubtel's own checkout: it asks the payer within the USSD session that it carries itself (programmable services)."""
