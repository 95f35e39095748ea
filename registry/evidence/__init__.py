"""Photographs and scans beside a parcel: what they are, who may see them, and their digest in the log."""
