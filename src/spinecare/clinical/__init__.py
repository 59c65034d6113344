"""Clinical rules and their tables."""
