"""What happened, in order, signed: accounts, numbered blocks, entries and proofs.

Read it in this order:

* `canonical`, `units`, `keys`, `commitment`: one byte form, one range type, one key type;
* `merkle`, `note`, `checkpoint`, `tiles`, `proof`: the published log;
* `envelope`, `entry`: what one entry is;
* `books`, `replay`: what entries do to accounts and blocks, as pure functions;
* `tables`, `log`: the same in a database, inside the caller's transaction;
* `verify`: the offline check of one entry.

The package knows accounts, assets and whole numbers. It knows nothing of carbon, land or the web.
"""
