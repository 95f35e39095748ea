"""The public read side: what a stranger asks and checks.

`audit` replays the published log and holds everything against it; `published` checks the files,
`invariants` the rules, `comparison` the tables. `trace` follows a serial from its parcel to its holders.
"""
