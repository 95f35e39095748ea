"""What is said about the log: digests of its state, remarks on entries, erased records."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "state_entry",
        sa.Column("entry_index", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("accounts", sa.BigInteger, nullable=False),
        sa.Column("blocks", sa.BigInteger, nullable=False),
        sa.Column("pendings", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
    )
    op.create_table(
        "annotation",
        sa.Column("entry_index", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("annotated_index", sa.BigInteger, nullable=False, index=True),
        sa.Column("reason_code", sa.String(40), nullable=False),
        sa.Column("text", sa.String(2000), nullable=True),
        sa.Column("commitment", sa.String(64), nullable=False),
        sa.Column("commitment_key", sa.LargeBinary, nullable=True),
    )
    op.create_table(
        "erasure",
        sa.Column("commitment", sa.String(64), primary_key=True),
        sa.Column("committed_index", sa.BigInteger, nullable=False),
        sa.Column("entry_index", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    raise NotImplementedError(
        "an older version does not know these entries; restore a backup with the older version"
    )
