"""What happened, in order, signed: accounts, numbered blocks, entries and proofs.

Read it in this order:

* `canonical`, `units`, `keys`, `commitment`: one byte form, one range type, one key type;
* `merkle`, `note`, `checkpoint`, `tiles`, `proof`: the published log;
* `envelope`, `entry`: what one entry is;
* `effects`, `books`, `replay`: what entries may do to accounts and blocks, and what that means; all pure;
* `tables`, `log`: the same in a database, inside the caller's transaction;
* `verify`, `client`: the check of one entry offline, and of a whole log from outside;
* `journal`: the postings as a plain-text journal for other people's accounting programs.

The package knows accounts, assets and whole numbers. It knows nothing of carbon, land or the web.
"""
