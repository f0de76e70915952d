"""USSD over SMPP: ``deliver_sm`` brings what a person typed, ``submit_sm`` carries the next screen."""
