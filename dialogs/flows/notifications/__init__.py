"""What a line wants to be told, where and when."""
