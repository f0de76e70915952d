"""What we say: dialogs declared state by state, the machine that walks them, and every language they are said in."""
