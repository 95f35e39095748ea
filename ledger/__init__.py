"""What happened, in order, signed: accounts, numbered blocks, entries and proofs.

Read it in this order:

* `canonical`, `units`, `keys`, `commitment`: one byte form, one range type, one key type;
* `merkle`, `note`, `checkpoint`, `tiles`, `proof`: the published log;
* `envelope`, `entry`: what one entry is;
* `effects`, `holdings`, `books`, `replay`: what entries may do to accounts and blocks, and what that means;
  `actor_keys`, `log_keys`, `notices`, `state`: keys over time, entries about entries, the digest of the
  books; all pure;
* `tables`, `rows`, `memory`, `bulk`, `log`: the same in a database, inside the caller's transaction;
* `policy`, `cosign`, `witness`: witnesses, from both sides;
* `verify`, `client`: the check of one entry offline, and of a whole log from outside;
* `journal`: the postings as a plain-text journal for other people's accounting programs.

The package knows accounts, assets and whole numbers. It knows nothing of carbon, land or the web.
"""
