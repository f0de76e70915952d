"""What a person may change about their line."""
