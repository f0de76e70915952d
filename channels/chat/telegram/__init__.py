"""Telegram by the Bot API: polling or webhook in, buttons and edits out."""
