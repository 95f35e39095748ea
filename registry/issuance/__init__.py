"""Issuance: verified kilograms become numbered units, once per project, period and pools.

`plan` is the arithmetic, `units` says who holds which numbers and which of them are chosen, `service`
proposes and approves.
"""
