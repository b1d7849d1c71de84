"""Reverse proxies in Python as others build them, run by the peers' own environment: they import nothing of ours."""
