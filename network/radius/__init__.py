"""RADIUS (RFC 2866, RFC 5176): access servers report what sessions used, and hear when a line's rules change."""
