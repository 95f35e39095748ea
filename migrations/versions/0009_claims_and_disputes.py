"""Claims in outside registries and cases about ground that two want."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "outside_claim",
        sa.Column("id", sa.String(200), primary_key=True),
        sa.Column("status", sa.String(40), nullable=False, index=True),
        sa.Column("entry_index", sa.BigInteger, nullable=False),
        sa.Column("registry_code", sa.String(20), nullable=False),
        sa.Column("foreign_id", sa.String(80), nullable=False),
        sa.Column("pools", sa.String(80), nullable=False),
        sa.Column("from_on", sa.String(10), nullable=False),
        sa.Column("to_on", sa.String(10), nullable=False),
        sa.Column("organisation_id", sa.String(200), nullable=False, index=True),
        sa.Column("parcel_id", sa.String(200), sa.ForeignKey("parcel.id"), nullable=True, index=True),
        sa.Column("parcel_version", sa.Integer, nullable=True),
        sa.Column("area_cm2", sa.BigInteger, nullable=False),
        sa.Column("evidence_sha256", sa.String(64), nullable=False),
        sa.Column("declared_index", sa.BigInteger, nullable=False),
        sa.Column("wkb", sa.LargeBinary, nullable=True),
        sa.Column("commitment", sa.String(64), nullable=False),
        sa.Column("commitment_key", sa.LargeBinary, nullable=True),
    )
    op.create_table(
        "outside_claim_cell",
        sa.Column("cell", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("outside_claim_id", sa.String(200), sa.ForeignKey("outside_claim.id"), primary_key=True),
    )
    op.create_table(
        "dispute_case",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("pair", sa.String(80), nullable=False),
        sa.Column("programme_id", sa.String(200), sa.ForeignKey("programme.id"), nullable=False),
        sa.Column("first", sa.String(200), nullable=False),
        sa.Column("outside", sa.Boolean, nullable=False),
        sa.Column("second", sa.String(200), sa.ForeignKey("parcel.id"), nullable=False),
        sa.Column("first_holder", sa.String(200), nullable=True, index=True),
        sa.Column("first_operator", sa.String(200), nullable=True),
        sa.Column("second_holder", sa.String(200), nullable=False, index=True),
        sa.Column("second_operator", sa.String(200), nullable=True),
        sa.Column("overlap_cm2", sa.BigInteger, nullable=False),
        sa.Column("overlap", sa.JSON, nullable=True),
        sa.Column("rule", sa.String(80), nullable=False),
        sa.Column("first_seen_at", sa.BigInteger, nullable=False),
        sa.Column("last_seen_at", sa.BigInteger, nullable=False),
        sa.Column("times_seen", sa.Integer, nullable=False),
        sa.UniqueConstraint("pair", "programme_id", name="uq_dispute_case_pair"),
    )
    op.create_table(
        "dispute_decision",
        sa.Column("id", sa.String(200), primary_key=True),
        sa.Column("status", sa.String(40), nullable=False, index=True),
        sa.Column("entry_index", sa.BigInteger, nullable=False),
        sa.Column("first", sa.String(200), nullable=False),
        sa.Column("second", sa.String(200), sa.ForeignKey("parcel.id"), nullable=False),
        sa.Column("programme_id", sa.String(200), sa.ForeignKey("programme.id"), nullable=False),
        sa.Column("reason", sa.String(40), nullable=False),
        sa.Column("document_sha256", sa.String(64), nullable=False),
    )
    _guard("dispute_decision")


def _guard(table: str) -> None:
    """What was decided is appended, never changed (see 0002)."""
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("update", "delete"):
            op.execute(
                f"create trigger {table}_no_{verb} before {verb} on {table} "
                f"begin select raise(abort, '{table} is append-only'); end"
            )
        return
    op.execute(
        f"create trigger {table}_no_change before update or delete on {table} "
        "for each row execute function refuse_change()"
    )
    op.execute(
        f"create trigger {table}_no_truncate before truncate on {table} "
        "for each statement execute function refuse_change()"
    )


def downgrade() -> None:
    raise NotImplementedError(
        "an older version does not know these entries; restore a backup with the older version"
    )
