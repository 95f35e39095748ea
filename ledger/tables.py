"""The ledger's tables: the log itself, and what the log implies.

`log` and `checkpoint` are the truth in the database; `account`, `posting`, `block`, `reservation`, `series`,
`subject_state`, `actor_key` and `log_key` are projections that `ledger.log` writes in the same transaction
and that an audit rebuilds. Append-only tables are guarded by triggers in the migrations against UPDATE,
DELETE and (PostgreSQL) TRUNCATE.

Every column says in `info["truth"]` what it is: `logged` (a function of the log), `committed` (bound by a
digest in the log) or `working`. Here all are `logged` but `cosigned`, which is what witnesses answered.
"""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, String, Table

metadata = MetaData()

APPEND_ONLY = ("log", "posting", "checkpoint", "cosigned")


def logged(name: str, kind: Any, **options: Any) -> Column[Any]:
    options.setdefault("nullable", False)
    return Column(name, kind, info={"truth": "logged"}, **options)


log = Table(
    "log",
    metadata,
    logged("idx", BigInteger, primary_key=True, autoincrement=False),
    logged("entry_id", String(36), unique=True),
    logged("leaf_hash", LargeBinary),
    logged("leaf", LargeBinary),
)

# The one row every writer locks. `frontier` is the compact range of the tree at `size`.
head = Table(
    "head",
    metadata,
    logged("one", Integer, primary_key=True, autoincrement=False),
    logged("origin", String(200)),
    logged("size", BigInteger),
    logged("root", LargeBinary),
    logged("frontier", LargeBinary),
    logged("at_ms", BigInteger),
)

checkpoint = Table(
    "checkpoint",
    metadata,
    logged("size", BigInteger, primary_key=True, autoincrement=False),
    logged("note", LargeBinary),
)

# A checkpoint as it was published, with its witnesses' cosignatures; some sizes are never published alone.
cosigned = Table(
    "cosigned",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False, info={"truth": "working"}),
    Column("note", LargeBinary, nullable=False, info={"truth": "working"}),
)

account = Table(
    "account",
    metadata,
    logged("account", String(200), primary_key=True),
    logged("asset", String(200)),
    logged("limit_kind", String(10)),
    logged("numbered", Boolean),
    logged("owner", String(200), index=True),
    logged("debits_posted", BigInteger),
    logged("credits_posted", BigInteger),
    logged("debits_pending", BigInteger),
    logged("credits_pending", BigInteger),
)

posting = Table(
    "posting",
    metadata,
    logged("idx", BigInteger, primary_key=True, autoincrement=False),
    logged("n", Integer, primary_key=True, autoincrement=False),
    logged("account", String(200), index=True),
    logged("asset", String(200)),
    logged("amount", BigInteger),
)

block = Table(
    "block",
    metadata,
    logged("block", String(200), primary_key=True),
    logged("series", String(200)),
    logged("batch", String(200)),
    logged("start_number", BigInteger),
    logged("end_number", BigInteger),
    logged("asset", String(200)),
    logged("account", String(200), index=True),
    logged("parent", String(200), nullable=True),
    logged("pending", String(200), nullable=True),
    logged("live", Boolean),
    Index("ix_block_series_start", "series", "start_number"),
)

reservation = Table(
    "reservation",
    metadata,
    logged("pending", String(200), primary_key=True),
    logged("content", LargeBinary),
    logged("lock_kind", String(200)),
    logged("ref", String(200), index=True),
    logged("deadline_ms", BigInteger, nullable=True),
    logged("status", String(10)),
)

series = Table(
    "series",
    metadata,
    logged("series", String(200), primary_key=True),
    logged("last_number", BigInteger),
)

subject_state = Table(
    "subject_state",
    metadata,
    logged("machine", String(200), primary_key=True),
    logged("subject", String(200), primary_key=True),
    logged("state", String(200)),
    logged("idx", BigInteger),
)

actor_key = Table(
    "actor_key",
    metadata,
    logged("keyid", String(64), primary_key=True),
    logged("public_key", LargeBinary),
    logged("person", String(200), index=True),
    logged("custody", String(10)),
    logged("idx", BigInteger),
    logged("ended_idx", BigInteger, nullable=True),
)

log_key = Table(
    "log_key",
    metadata,
    logged("vkey", String(400), primary_key=True),
    logged("idx", BigInteger),
    logged("ended_idx", BigInteger, nullable=True),
)
