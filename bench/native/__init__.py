"""What a request costs natively and in Rails: each route on both sides, and the list as the tables grow."""
