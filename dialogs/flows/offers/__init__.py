"""What is offered where something runs out."""
