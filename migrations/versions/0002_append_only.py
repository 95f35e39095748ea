"""The log, its postings and its checkpoints are append-only: the database refuses UPDATE, DELETE and
TRUNCATE.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

APPEND_ONLY = ("log", "posting", "checkpoint")


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for table in APPEND_ONLY:
            for verb in ("update", "delete"):
                op.execute(
                    f"create trigger {table}_no_{verb} before {verb} on {table} "
                    f"begin select raise(abort, '{table} is append-only'); end"
                )
        return
    op.execute(
        "create function refuse_change() returns trigger language plpgsql as "
        "$$ begin raise exception '% is append-only', tg_table_name; end $$"
    )
    for table in APPEND_ONLY:
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
        "a log cannot be made changeable again; restore a backup with the older version"
    )
