"""Selling: options before issuance, offers with subscriptions, listings; and the proceeds, to the village to
the fen.

Read it in this order: `rules` (the lives of contracts, offers and trades), `contracts` and `proceeds` (pure
arithmetic), `settlement` (money and units of one sale as effects), then one file per use case: `options`,
`subscriptions`, `sales`.
"""
