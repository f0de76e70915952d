"""What the engine shows, a face for each kind of caller; ``engine.api`` puts them together."""
