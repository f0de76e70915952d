"""Junebug, the HTTP API of Vumi: a hop is answered by a call of ours."""
