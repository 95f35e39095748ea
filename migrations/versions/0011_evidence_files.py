"""Photographs and scans beside a parcel."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "evidence_upload",
        sa.Column("organisation_id", sa.String(200), sa.ForeignKey("organisation.id"), primary_key=True),
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("media_type", sa.String(40), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("taken_at", sa.String(40), nullable=True),
        sa.Column("lon_e7", sa.BigInteger, nullable=True),
        sa.Column("lat_e7", sa.BigInteger, nullable=True),
        sa.Column("filed", sa.Boolean, nullable=False),
        sa.Column("uploaded_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "evidence_file",
        sa.Column("id", sa.String(200), primary_key=True),
        sa.Column("status", sa.String(40), nullable=False, index=True),
        sa.Column("entry_index", sa.BigInteger, nullable=False),
        sa.Column("parcel_id", sa.String(200), sa.ForeignKey("parcel.id"), nullable=False, index=True),
        sa.Column("organisation_id", sa.String(200), sa.ForeignKey("organisation.id"), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False, index=True),
        sa.Column("media_type", sa.String(40), nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("name", sa.String(100), nullable=True),
        sa.Column("note", sa.String(500), nullable=True),
        sa.Column("taken_at", sa.String(40), nullable=True),
        sa.Column("lon_e7", sa.BigInteger, nullable=True),
        sa.Column("lat_e7", sa.BigInteger, nullable=True),
        sa.Column("stated_at", sa.String(40), nullable=True),
        sa.Column("stated_lon_e7", sa.BigInteger, nullable=True),
        sa.Column("stated_lat_e7", sa.BigInteger, nullable=True),
        sa.Column("accuracy_m", sa.Integer, nullable=True),
        sa.Column("commitment", sa.String(64), nullable=False),
        sa.Column("commitment_key", sa.LargeBinary, nullable=True),
    )


def downgrade() -> None:
    raise NotImplementedError(
        "an older version does not know these entries; restore a backup with the older version"
    )
