"""Parcels credited together: projects, the land claims they hold, and their monitoring periods."""
