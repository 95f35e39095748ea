"""A run handed out as one file, and read again by whoever wants to check it."""
