"""What comparing two answers costs: megabytes a second, and how long the event loop is held."""
