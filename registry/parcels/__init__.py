"""Land under one tenure: how it comes in, and what becomes of it.

A file comes in by `import_routes` or the command line: `examining` (what it holds), `imports` (held against
the register, taken in), `report` (what is said of each row), `import_jobs` (behind the answer), with
`mapping` and `mappings` (which column is which field), `counties` (where it should lie) and `sources` (what
is kept as it came). Then `service` (submission and review), `life` (suspension, renewal, the past), `ground`
(whose it is), `public` (what everybody may see).
"""
