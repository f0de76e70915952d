"""What is left, of what, until when."""
