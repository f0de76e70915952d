"""Hubtel Programmable Services: JSON in, JSON out, hops numbered by the gateway."""
