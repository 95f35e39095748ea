"""Papers that leave the house: serial numbers, the retirement certificate, its map and its offline bundle.

Read it in this order:

* `serials`: the one spelling of a serial number and its check digits;
* `mapping`: parcel outlines as an SVG map;
* `fonts`, `certificate`: the PDF, rendered from plain values and nothing else;
* `bundle`: what a stranger needs to check a certificate offline, and the check.

A low room: it knows no database, no session and no other room, only values, bytes and `ledger`'s pure
modules.
"""
