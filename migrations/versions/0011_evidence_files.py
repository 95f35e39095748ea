"""Photographs and scans beside a parcel."""

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    raise NotImplementedError(
        "an older version does not know these entries; restore a backup with the older version"
    )
