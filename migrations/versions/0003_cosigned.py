"""Checkpoints as they were published, with their witnesses' cosignatures: append-only as the log is."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cosigned",
        sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("note", sa.LargeBinary, nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("update", "delete"):
            op.execute(
                f"create trigger cosigned_no_{verb} before {verb} on cosigned "
                "begin select raise(abort, 'cosigned is append-only'); end"
            )
        return
    op.execute(
        "create trigger cosigned_no_change before update or delete on cosigned "
        "for each row execute function refuse_change()"
    )
    op.execute(
        "create trigger cosigned_no_truncate before truncate on cosigned "
        "for each statement execute function refuse_change()"
    )


def downgrade() -> None:
    raise NotImplementedError(
        "what witnesses signed is not thrown away; restore a backup with the older version"
    )
