"""What is reported of sides that differ, and of sides that are only noisy: precision and recall."""
