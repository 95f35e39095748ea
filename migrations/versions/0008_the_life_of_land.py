"""Steps, lineage and tenure of parcels after they were found eligible."""

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    raise NotImplementedError(
        "an older version does not know these entries; restore a backup with the older version"
    )
