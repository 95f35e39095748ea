"""Under which rules: versioned programmes, their figures published in the log."""
