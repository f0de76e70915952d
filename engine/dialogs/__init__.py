"""What dialogs keep beyond a session."""
