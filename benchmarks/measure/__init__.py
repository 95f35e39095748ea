"""Estimation held against the time of only reading, and against exactextract."""
