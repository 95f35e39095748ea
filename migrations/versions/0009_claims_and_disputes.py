"""Claims in outside registries and cases about ground that two want."""

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    raise NotImplementedError(
        "an older version does not know these entries; restore a backup with the older version"
    )
