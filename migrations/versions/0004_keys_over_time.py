"""Keys end: where an actor's key was rotated or revoked, and the log's own keys with where each begins and
ends.

A log that exists has one key, which its first entry names.
"""

import base64
import json

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("actor_key", sa.Column("ended_idx", sa.BigInteger, nullable=True))
    log_key = op.create_table(
        "log_key",
        sa.Column("vkey", sa.String(400), primary_key=True),
        sa.Column("idx", sa.BigInteger, nullable=False),
        sa.Column("ended_idx", sa.BigInteger, nullable=True),
    )
    genesis = op.get_bind().execute(sa.text("select leaf from log where idx = 0")).scalar_one_or_none()
    if genesis is None:
        return
    payload = json.loads(base64.b64decode(json.loads(bytes(genesis))["payload"]))
    vkey = payload["facts"].get("vkey")
    if vkey is not None:
        op.bulk_insert(log_key, [{"vkey": vkey, "idx": 0, "ended_idx": None}])


def downgrade() -> None:
    """Only while nothing was ended: an older version would let ended keys sign again."""
    connection = op.get_bind()
    ended = connection.execute(sa.text("select count(*) from actor_key where ended_idx is not null"))
    keys = connection.execute(sa.text("select count(*) from log_key"))
    if ended.scalar_one() or keys.scalar_one() > 1:
        raise NotImplementedError("keys were ended; restore a backup with the older version")
    op.drop_table("log_key")
    op.drop_column("actor_key", "ended_idx")
