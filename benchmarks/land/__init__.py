"""Land at the size of a province: imports, claims and audits over parcels made from a seed."""
