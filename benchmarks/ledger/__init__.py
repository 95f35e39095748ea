"""The ledger against its references: signed durable appends, HTTP, proofs, audits and memory."""
