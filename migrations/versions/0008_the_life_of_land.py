"""Steps, lineage and successions of parcels.

What happened to parcels before is in the log, so the steps of an existing log are read out of it here. Leaves
are read as the JSON that they are, not by the program's own parser, which changes.
"""

import base64
import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

APPEND_ONLY = ("parcel_step", "parcel_lineage")
WRITTEN_TOGETHER = 1000

STEPS = sa.table(
    "parcel_step",
    *(
        sa.column(name)
        for name in (
            "parcel_id", "entry_index", "n", "machine", "subject", "action", "before", "after", "version",
            "at_ms", "reason_code", "project_id", "pool", "from_on", "to_on", "credited_cm2",
        )
    ),
)  # fmt: skip


def upgrade() -> None:
    op.create_table(
        "parcel_step",
        sa.Column("parcel_id", sa.String(200), sa.ForeignKey("parcel.id"), primary_key=True),
        sa.Column("entry_index", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("n", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("machine", sa.String(40), nullable=False),
        sa.Column("subject", sa.String(200), nullable=False),
        sa.Column("action", sa.String(40), nullable=False),
        sa.Column("before", sa.String(40), nullable=False),
        sa.Column("after", sa.String(40), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False, index=True),
        sa.Column("reason_code", sa.String(40), nullable=False),
        sa.Column("project_id", sa.String(36), nullable=True),
        sa.Column("pool", sa.String(40), nullable=True),
        sa.Column("from_on", sa.String(10), nullable=True),
        sa.Column("to_on", sa.String(10), nullable=True),
        sa.Column("credited_cm2", sa.BigInteger, nullable=True),
        sa.Column("obligations", sa.JSON, nullable=True),
    )
    op.create_table(
        "parcel_lineage",
        sa.Column("predecessor_id", sa.String(200), sa.ForeignKey("parcel.id"), primary_key=True),
        sa.Column("successor_id", sa.String(200), sa.ForeignKey("parcel.id"), primary_key=True, index=True),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("share_ppm", sa.Integer, nullable=False),
        sa.Column("shared_cm2", sa.BigInteger, nullable=False),
        sa.Column("from_on", sa.String(10), nullable=False),
        sa.Column("entry_index", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "succession",
        sa.Column("id", sa.String(200), primary_key=True),
        sa.Column("status", sa.String(40), nullable=False, index=True),
        sa.Column("entry_index", sa.BigInteger, nullable=False),
        sa.Column(
            "organisation_id", sa.String(200), sa.ForeignKey("organisation.id"), nullable=False, index=True
        ),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("programme_id", sa.String(200), sa.ForeignKey("programme.id"), nullable=False),
        sa.Column("project_id", sa.String(36), nullable=True),
        sa.Column("from_on", sa.String(10), nullable=False),
        sa.Column("predecessors", sa.JSON, nullable=False),
        sa.Column("successors", sa.JSON, nullable=False),
        sa.Column("parts", sa.JSON, nullable=False),
        sa.Column("evidence_sha256", sa.String(64), nullable=False),
        sa.Column("resolution_sha256", sa.String(64), nullable=False),
    )
    fill(op.get_bind())
    guard(op.get_bind().dialect.name)


def guard(dialect: str) -> None:
    """What happened to land is appended, never changed (see 0002)."""
    for table in APPEND_ONLY:
        if dialect == "sqlite":
            for verb in ("update", "delete"):
                op.execute(
                    f"create trigger {table}_no_{verb} before {verb} on {table} "
                    f"begin select raise(abort, '{table} is append-only'); end"
                )
            continue
        op.execute(
            f"create trigger {table}_no_change before update or delete on {table} "
            "for each row execute function refuse_change()"
        )
        op.execute(
            f"create trigger {table}_no_truncate before truncate on {table} "
            "for each statement execute function refuse_change()"
        )


# ---- what the log says -------------------------------------------------------------------------------------


def fill(connection: sa.Connection) -> None:
    """The rows that the log's entries imply."""
    leaves = connection.execute(
        sa.text("select idx, leaf from log order by idx"),
        execution_options={"yield_per": WRITTEN_TOGETHER},
    )
    rows = list(_rows((index, bytes(leaf)) for index, leaf in leaves))
    for start in range(0, len(rows), WRITTEN_TOGETHER):
        connection.execute(sa.insert(STEPS), rows[start : start + WRITTEN_TOGETHER])


def _rows(leaves: Iterator[tuple[int, bytes]]) -> Iterator[dict[str, Any]]:
    versions: dict[str, int] = {}
    claims: dict[str, dict[str, Any]] = {}
    for index, leaf in leaves:
        envelope = json.loads(leaf)
        payload = json.loads(base64.b64decode(envelope["payload"]))
        own = {key: payload[key] for key in ("machine", "subject", "action", "before", "after")}
        caused = [effect for effect in payload["effects"] if effect["type"] == "transition"]
        for n, step in enumerate((own, *caused)):
            match step["machine"]:
                case "parcel":
                    about = _parcel(step, payload, versions)
                case "claim":
                    about = _claim(step, payload, claims)
                case _:
                    continue
            yield {
                **{key: step[key] for key in ("machine", "subject", "action", "before", "after")},
                "entry_index": index,
                "n": n,
                "at_ms": envelope["at"],
                "reason_code": payload["reason_code"],
                **about,
            }


def _parcel(step: dict[str, Any], payload: dict[str, Any], versions: dict[str, int]) -> dict[str, Any]:
    parcel = step["subject"]
    if step["action"] == "submit":
        versions[parcel] = payload["facts"]["version"]
    return {
        "parcel_id": parcel, "version": versions[parcel],
        "project_id": None, "pool": None, "from_on": None, "to_on": None, "credited_cm2": None,
    }  # fmt: skip


def _claim(
    step: dict[str, Any], payload: dict[str, Any], claims: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    facts, name = payload["facts"], step["subject"]
    if step["action"] == "activate":
        ((pool, credited_cm2),) = [(pool, cm2) for claim, pool, cm2 in facts["claims"] if claim == name]
        claims[name] = {
            "parcel_id": payload["subject"],
            "version": facts["version"],
            "project_id": facts["project"],
            "pool": pool,
            "from_on": facts["from_on"],
            "to_on": facts["to_on"],
            "credited_cm2": credited_cm2,
        }
    else:
        claims[name] = claims[name] | {"to_on": facts["ended_on"]}
    return claims[name]


def downgrade() -> None:
    raise NotImplementedError(
        "an older version does not know these entries; restore a backup with the older version"
    )
