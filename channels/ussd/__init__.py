"""USSD gateways: one folder each, found by its name; beside them the contract and the HTTP routes."""
