"""What the proxy holds in memory: bodies that one end is slow with, answers that nobody fetches, clients that wait."""
