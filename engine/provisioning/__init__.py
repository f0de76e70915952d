"""What the network may serve a line now, and until when."""
