"""The tests' own PostgreSQL: it is real, it is private, and what it cannot do it says."""

from pathlib import Path

import psycopg
import pytest

from tests import postgres
from tests.postgres import Cluster, NoPostgres


def test_the_cluster_answers_and_listens_on_no_network(postgres_cluster: Cluster) -> None:
    with psycopg.connect(postgres_cluster.conninfo()) as connection:
        row = connection.execute("select current_setting('listen_addresses'), current_setting('timezone')").fetchone()
    assert row == ("", "UTC")


def test_each_place_that_holds_postgresql_can_run_it() -> None:
    runnable = [place for place in postgres.places() if postgres.unusable(place) is None]
    if not runnable:
        pytest.skip("NOT TESTED HERE: no PostgreSQL on this machine")
    for programs in runnable:
        with Cluster(programs) as cluster, psycopg.connect(cluster.conninfo()) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
        assert not cluster.folder.exists()


def test_a_folder_without_postgresql_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGBIN", str(tmp_path))
    with pytest.raises(NoPostgres, match=f"{tmp_path} has no initdb"):
        postgres.start_cluster()


def test_two_dialects_are_migrated(database_url: str) -> None:
    import sqlalchemy as sa

    engine = sa.create_engine(database_url)
    assert "alembic_version" in sa.inspect(engine).get_table_names()
    engine.dispose()
