"""Chat apps: one folder each; beside them the words between an adapter and the machinery in ``channels.chats``."""
