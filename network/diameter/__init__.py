"""Diameter Gy (RFC 6733, RFC 8506, TS 32.299): the packet core asks what a line may use, and says what it did use."""
