"""Buy a product of the catalogue."""
