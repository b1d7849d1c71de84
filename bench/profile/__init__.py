"""Where the request path spends its time: py-spy on a loaded `strangler serve`, folded into two tables."""
