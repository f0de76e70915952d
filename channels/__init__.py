"""How a person reaches us and we reach them: adapters, the turn, sessions, layout, delivery."""
