"""The registry: the rooms in the order of a credit's life, each importing only earlier ones.

    accounts → records → programmes → parcels → evidence → projects → estimates → verification → issuance →
    market → retirement → transparency

Below them all: `documents` (what is printed and handed out), `database`, `files` (uploads by their digest),
`turns` (costly work, few at once), `clock`, `keyring`, `machine`
(states as tables), `projections` (tables from the log), `acts` (how an act becomes an entry), `writer` and
`office` (where acts are carried out), `receipts`. Above them: `catalogue` (every act and projection),
`publication` (tiles, witnesses, checkpoint), `anchor`, `recovery`, `backup`, `restore` and `catchup` (what
keeps a history from being lost or forked), `installation`, `app` (HTTP) and `cli`. A witness of somebody
else's log is `witness`. The auditor is a package of its own, `auditor/`.
"""
