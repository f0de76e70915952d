"""Postgres and Redis from wheels, run as children: for demo, tests and benchmarks. Production brings its own."""
