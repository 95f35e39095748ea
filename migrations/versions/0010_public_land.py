"""What the map and the feature service show of a parcel."""

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from registry.parcels.public import public_rows

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

NEWEST = sa.text(
    "select p.id, p.version, p.code, p.county, v.village, v.stand_type, v.area_cm2, v.tenure, v.wkb, "
    "null as masked, (select min(s.at_ms) from parcel_step s where s.parcel_id = p.id and "
    "s.machine = 'parcel') as since_ms from parcel p "
    "join parcel_version v on v.parcel_id = p.id and v.version = p.version "
    "where v.wkb is not null order by p.id"
).columns(
    id=sa.String, version=sa.Integer, code=sa.String, county=sa.String, village=sa.String,
    stand_type=sa.String, area_cm2=sa.BigInteger, tenure=sa.JSON, wkb=sa.LargeBinary, masked=sa.Boolean,
    since_ms=sa.BigInteger,
)  # fmt: skip


def upgrade() -> None:
    op.create_table(
        "parcel_visibility",
        sa.Column("parcel_id", sa.String(200), nullable=False),
        sa.Column("masked", sa.Boolean(), nullable=False),
        sa.Column("person_id", sa.String(200), nullable=False),
        sa.Column("said_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("parcel_id"),
    )
    public = op.create_table(
        "parcel_public",
        sa.Column("parcel_id", sa.String(200), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("masked", sa.Boolean(), nullable=False),
        sa.Column("code", sa.String(80), nullable=False),
        sa.Column("county", sa.String(6), nullable=False),
        sa.Column("village", sa.String(200), nullable=True),
        sa.Column("stand_type", sa.String(40), nullable=False),
        sa.Column("area_mu", sa.String(20), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("west", sa.Double(), nullable=False),
        sa.Column("south", sa.Double(), nullable=False),
        sa.Column("east", sa.Double(), nullable=False),
        sa.Column("north", sa.Double(), nullable=False),
        sa.Column("box", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("wkb", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["parcel_id"], ["parcel.id"]),
        sa.PrimaryKeyConstraint("parcel_id"),
    )
    for column in ("code", "county", "village", "stand_type", "box"):
        op.create_index(op.f(f"ix_parcel_public_{column}"), "parcel_public", [column])
    op.create_index("ix_parcel_public_place", "parcel_public", ["place", "parcel_id"])
    _fill(op.get_bind(), public)


def _fill(connection: sa.Connection, public: sa.Table) -> None:
    """Show what was registered before. Later columns are not this step's."""
    for batch in _batches(connection.execute(NEWEST).all()):
        rows = [
            {name: row[name] for name in public.columns.keys()}  # noqa: SIM118
            for row in public_rows([dict(one._mapping) for one in batch])
        ]
        connection.execute(sa.insert(public), rows)


def _batches(found: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(found), 500):
        yield found[start : start + 500]


def downgrade() -> None:
    raise NotImplementedError(
        "an older version does not know these entries; restore a backup with the older version"
    )
