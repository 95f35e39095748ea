"""Land under one tenure: files of parcels, drafts, submission and review."""
