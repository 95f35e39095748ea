"""The auditor: a published log judged from its files alone, by a program of its own.

It shares with the registry the pure formats (`ledger.canonical`, `merkle`, `note`, `checkpoint`, `tiles`,
`client`, `units`, `keys`) and the tables of the state machines (`registry/*/rules.py`), and not one line of
what writes: no books, no replay, no services, no projections, no database. Read it in this order:

* `published`: the files under one signed root, one bundle at a time;
* `entries`, `effects`: one entry's bytes, in their one spelling;
* `register`, `books`, `replay`: the keys, the accounts and the states that the entries imply;
* `authority`, `holdings`, `carbon`, `promises`, `splits`: the invariants, one after the other;
* `answers`: what stood at a size or on a date; `audit`: all of it together.
"""
