"""Postgres and Redis from wheels, run as children: for the demo, the tests and the benchmarks. Production brings its own."""
