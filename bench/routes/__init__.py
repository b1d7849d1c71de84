"""What more routes cost: the proxy with 10, 200 and 1 000 of them, and the look-up alone."""
