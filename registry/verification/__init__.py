"""An independent verifier signs its own quantity; nothing else leads to issuance."""
