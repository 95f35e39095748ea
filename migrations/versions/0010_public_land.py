"""What the map and the feature service show of a parcel."""

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    raise NotImplementedError(
        "an older version does not know these entries; restore a backup with the older version"
    )
