"""What users pay for being compared, whatever the candidate does."""
