"""How the operator's own systems reach us: charging, usage and balance interfaces. Calls ``engine.api`` only."""
