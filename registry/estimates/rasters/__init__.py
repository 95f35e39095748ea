"""Rasters: what is said of them, their copies and alignments, and their catalogue for others."""
