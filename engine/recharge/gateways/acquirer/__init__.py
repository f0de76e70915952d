"""The acquiring bank: ISO 8583 over TCP."""
