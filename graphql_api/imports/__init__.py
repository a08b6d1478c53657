"""Sales files: mapping, reading, validating and loading, exactly once."""
