"""What happens to money and balances. Knows nobody above it; callers use ``engine.api`` and ``engine.words`` only."""
