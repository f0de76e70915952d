"""The audit trail: what staff did, and the signed chain that shows whether history is what it was."""
