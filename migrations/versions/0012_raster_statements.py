"""What is said of a raster, apart from the file: licence, error model, and corrections that edit nothing.

A raster of an older program gets its first statement from the row it has. Nobody said under which licence it
is or who brought it, so the statement does not say either; its values were not read from end to end.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

SAID = ("kind", "unit", "product", "taken_on")
KNOWN = sa.text("select sha256, kind, unit, product, taken_on from raster")
FOREST_CLASSES = {"CLCD": [2], "ESA-WorldCover": [10, 95]}
UNKNOWN_ERROR = {
    "kind": "none",
    "rho_space_ppm": 300_000,
    "rho_time_ppm": 0,
    "assumed": ["rho_space_ppm", "rho_time_ppm"],
}
APPEND_ONLY = "raster_statement"


def upgrade() -> None:
    known = op.get_bind().execute(KNOWN).mappings().all()
    with op.batch_alter_table("raster") as change:
        for column in SAID:
            change.drop_column(column)
    statement = op.create_table(
        "raster_statement",
        sa.Column("sha256", sa.String(64), sa.ForeignKey("raster.sha256"), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("unit", sa.String(20), nullable=False),
        sa.Column("band", sa.Integer, nullable=False),
        sa.Column("product", sa.String(80), nullable=False),
        sa.Column("taken_on", sa.String(10), nullable=False),
        sa.Column("licence", sa.String(80), nullable=True),
        sa.Column("licence_note", sa.String(500), nullable=True),
        sa.Column("attribution", sa.String(500), nullable=True),
        sa.Column("source", sa.String(500), nullable=True),
        sa.Column("error_model", sa.JSON, nullable=False),
        sa.Column("forest_classes", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("lineage", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("facts", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("values_sha256", sa.String(64), nullable=True),
        sa.Column("organisation_id", sa.String(200), sa.ForeignKey("organisation.id"), nullable=True),
        sa.Column("person_id", sa.String(200), nullable=True),
        sa.Column("stated_at", sa.BigInteger, nullable=True),
        sa.Column("reason", sa.String(500), nullable=True),
    )
    op.create_table(
        "raster_copy",
        sa.Column("sha256", sa.String(64), sa.ForeignKey("raster.sha256"), primary_key=True),
        sa.Column("band", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("copy_sha256", sa.String(64), nullable=False),
        sa.Column("values_sha256", sa.String(64), nullable=False),
        sa.Column("encoding", sa.JSON, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("made_at", sa.BigInteger, nullable=False),
    )
    first = [
        {
            **row,
            "version": 1,
            "band": 1,
            "error_model": UNKNOWN_ERROR,
            "forest_classes": FOREST_CLASSES.get(row["product"]) if row["kind"] == "land_cover" else None,
        }
        for row in known
    ]
    if first:
        op.bulk_insert(statement, first)
    _guard()


def _guard() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("update", "delete"):
            op.execute(
                f"create trigger {APPEND_ONLY}_no_{verb} before {verb} on {APPEND_ONLY} "
                f"begin select raise(abort, '{APPEND_ONLY} is append-only'); end"
            )
        return
    for name, event, scope in (
        ("change", "update or delete", "each row"),
        ("truncate", "truncate", "each statement"),
    ):
        op.execute(
            f"create trigger {APPEND_ONLY}_no_{name} before {event} on {APPEND_ONLY} "
            f"for {scope} execute function refuse_change()"
        )


def downgrade() -> None:
    raise NotImplementedError(
        "an older version does not know what was said of rasters; restore a backup with the older version"
    )
