"""Nchf_ConvergedCharging (3GPP TS 32.290, TS 32.291): the core asks what a line may use, and says what it did use."""
