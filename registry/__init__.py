"""The registry: the rooms in the order of a credit's life, each importing only earlier ones.

    accounts → programmes → parcels → projects → estimates → verification → issuance → market → retirement →
    transparency

Below them all: `documents` (what is printed and handed out), `database`, `clock`, `keyring`, `machine`
(states as tables), `projections` (tables from the log), `acts` (how an act becomes an entry), `writer` and
`office` (where acts are carried out). Above them: `catalogue` (every act and projection), `installation`,
`app` (HTTP) and `cli`.
"""
