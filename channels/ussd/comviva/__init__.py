"""Comviva's USSD gateway (Airtel's among others): a query in, text and headers out."""
