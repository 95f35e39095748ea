"""What the books promise, refused by the database too: limits of accounts, ranges that count and do not
overlap, rows that stay.

PostgreSQL keeps live ranges of a series apart with an exclusion constraint. It compares ranges only, so the
series goes in as the range of its own hash, masked to 62 bits because the bound after the last bigint cannot
be spelled; two series with one hash would refuse each other's numbers and never let them overlap. SQLite
looks at the neighbour through an index of live blocks: while live ranges are disjoint, the last one that
starts at or before the new end is the only one that could reach into it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

MOST = 2**53 - 1
COUNTERS = ("debits_posted", "credits_posted", "debits_pending", "credits_pending")

CHECKS = {
    "account": {
        "ck_account_counters": " and ".join(f"{counter} between 0 and {MOST}" for counter in COUNTERS),
        "ck_account_limit": "case limit_kind when 'none' then true "
        "when 'floor' then credits_posted - debits_posted - debits_pending >= 0 "
        "when 'sink' then debits_posted = 0 and debits_pending = 0 else false end",
    },
    "block": {"ck_block_range": "1 <= start_number and start_number <= end_number"},
    "reservation": {"ck_reservation_status": "status in ('open', 'posted', 'voided', 'expired')"},
    "series": {"ck_series_last": "last_number >= 0"},
}
APPEND_ONLY = ("state_entry", "erasure")
KEPT = ("account", "block", "reservation", "series", "subject_state", "actor_key", "log_key", "head")
"""Projections: their rows change and never go."""
REMARKED = "entry_index, annotated_index, reason_code, commitment"
"""Columns of an annotation that stay; its text goes when it is erased."""

OVERLAP = """
create trigger block_disjoint_{verb} before {verb} on block when new.live
begin
  select raise(abort, 'live ranges of a series overlap')
  where new.start_number <= (
    select end_number from block
    where live and series = new.series and start_number <= new.end_number and block <> new.block
    order by start_number desc limit 1
  );
end
"""
EXCLUDE = """
alter table block add constraint ex_block_live_ranges exclude using gist (
  int8range(hashtextextended(series, 0) & 4611686018427387903,
            hashtextextended(series, 0) & 4611686018427387903, '[]') with &&,
  int8range(start_number, end_number, '[]') with &&
) where (live)
"""


def upgrade() -> None:
    for table, checks in CHECKS.items():
        with op.batch_alter_table(table) as change:
            for name, condition in checks.items():
                change.create_check_constraint(name, sa.text(condition))
    op.create_index(
        "ix_block_live", "block", ["series", "start_number"],
        sqlite_where=sa.text("live"), postgresql_where=sa.text("live"),
    )  # fmt: skip
    op.create_index(
        "ix_reservation_open", "reservation", ["pending"],
        sqlite_where=sa.text("status = 'open'"), postgresql_where=sa.text("status = 'open'"),
    )  # fmt: skip
    if op.get_bind().dialect.name == "sqlite":
        _guard_sqlite()
    else:
        _guard_postgresql()


def _guard_sqlite() -> None:
    for verb in ("insert", "update"):
        op.execute(OVERLAP.format(verb=verb))
    for table in APPEND_ONLY:
        op.execute(_refusal(table, "update", "update", "is append-only"))
    op.execute(_refusal("annotation", "update", f"update of {REMARKED}", "is append-only"))
    for table in (*APPEND_ONLY, "annotation"):
        op.execute(_refusal(table, "delete", "delete", "is append-only"))
    for table in KEPT:
        op.execute(_refusal(table, "delete", "delete", "keeps its rows"))


def _refusal(table: str, name: str, event: str, reason: str) -> str:
    return (
        f"create trigger {table}_no_{name} before {event} on {table} "
        f"begin select raise(abort, '{table} {reason}'); end"
    )


def _guard_postgresql() -> None:
    op.execute(EXCLUDE)
    op.execute(
        "create function refuse_removal() returns trigger language plpgsql as "
        "$$ begin raise exception '% keeps its rows', tg_table_name; end $$"
    )
    for table in APPEND_ONLY:
        _trigger(table, "change", "update or delete", "each row", "refuse_change")
    _trigger("annotation", "change", f"delete or update of {REMARKED}", "each row", "refuse_change")
    for table in (*APPEND_ONLY, "annotation"):
        _trigger(table, "truncate", "truncate", "each statement", "refuse_change")
    for table in KEPT:
        _trigger(table, "delete", "delete", "each row", "refuse_removal")
        _trigger(table, "truncate", "truncate", "each statement", "refuse_removal")


def _trigger(table: str, name: str, event: str, scope: str, function: str) -> None:
    op.execute(
        f"create trigger {table}_no_{name} before {event} on {table} "
        f"for {scope} execute function {function}()"
    )


def downgrade() -> None:
    raise NotImplementedError(
        "what the database refuses stays refused; restore a backup with the older version"
    )
