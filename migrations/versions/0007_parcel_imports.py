"""Imports of parcel files, saved field mappings, and outlines as they came."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _imports()
    _sources()
    _counties()


def _imports() -> None:
    op.create_table(
        "parcel_import",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column(
            "organisation_id", sa.String(200), sa.ForeignKey("organisation.id"), nullable=False, index=True
        ),
        sa.Column("person", sa.String(36), nullable=False),
        sa.Column("file_name", sa.String(100), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False, index=True),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("programme", sa.String(60), nullable=False),
        sa.Column("declared", sa.JSON, nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("kept", sa.Boolean, nullable=False),
        sa.Column("report", sa.JSON, nullable=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("finished_at", sa.BigInteger, nullable=True),
    )
    op.create_table(
        "field_mapping",
        sa.Column("organisation_id", sa.String(200), sa.ForeignKey("organisation.id"), primary_key=True),
        sa.Column("name", sa.String(60), primary_key=True),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )


def _sources() -> None:
    """Outlines as they came, beside the drafts and the versions made of them."""
    with op.batch_alter_table("parcel_draft") as change:
        change.add_column(sa.Column("source_wkb", sa.LargeBinary, nullable=True))
        change.add_column(sa.Column("source_crs", sa.Text, nullable=True))
    op.create_table(
        "parcel_source",
        sa.Column("parcel_id", sa.String(200), sa.ForeignKey("parcel.id"), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("import_id", sa.String(36), nullable=False, index=True),
        sa.Column("row_number", sa.Integer, nullable=False),
        sa.Column("wkb", sa.LargeBinary, nullable=False),
        sa.Column("crs", sa.Text, nullable=False),
    )


def _counties() -> None:
    """Outlines of counties, which the operator loads: evidence for where land lies, nothing more."""
    op.create_table(
        "county_outline",
        sa.Column("code", sa.String(6), primary_key=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("wkb", sa.LargeBinary, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    raise NotImplementedError(
        "an older version does not know these entries; restore a backup with the older version"
    )
