"""TM Forum's open APIs for an operator's own systems: prepay balances (TMF654 v4) and usage (TMF635 v4)."""
