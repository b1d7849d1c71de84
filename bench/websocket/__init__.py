"""WebSockets through the proxy: what an open one holds in memory, and how much later its echo comes."""
