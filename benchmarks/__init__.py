"""Measurements: what was run, on what, and how the result was checked before it was timed."""
