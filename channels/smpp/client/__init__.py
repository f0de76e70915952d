"""The client (an ESME): one bound connection, and the link that keeps one."""
