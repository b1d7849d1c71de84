"""Requests a second, latency and processor time: the proxy and its peers, in front of one origin."""
