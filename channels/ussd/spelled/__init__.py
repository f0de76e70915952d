"""Gateways that are only another spelling of a form or a JSON body: a data file each, and one adapter for them all."""
