"""The design that a plot file keeps to: its digest, and the design itself, where the owner brought one.

Files of older programs have none.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("plot_file") as change:
        change.add_column(sa.Column("design_sha256", sa.String(64), nullable=True))
        change.add_column(sa.Column("design", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    raise NotImplementedError(
        "an older version does not know by which design plots were laid out; restore a backup with the older "
        "version"
    )
