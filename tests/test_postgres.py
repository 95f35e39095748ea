"""The tests' own PostgreSQL: it is real, it is private, and what it cannot do it says."""

import os
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from tests import postgres
from tests.postgres import Cluster, NoPostgres


def test_the_cluster_answers_and_listens_on_no_network(postgres_cluster: Cluster) -> None:
    with psycopg.connect(postgres_cluster.conninfo()) as connection:
        row = connection.execute(
            "select current_setting('listen_addresses'), current_setting('timezone')"
        ).fetchone()
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
    engine = sa.create_engine(database_url)
    assert "alembic_version" in sa.inspect(engine).get_table_names()
    engine.dispose()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another user to run PostgreSQL")
def test_root_is_told_that_the_other_user_cannot_read_a_closed_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "home"
    closed.mkdir(mode=0o700)
    for name in ("initdb", "pg_ctl", "postgres"):
        (closed / name).write_text("#!/bin/sh\n")
        (closed / name).chmod(0o755)
    monkeypatch.setenv("PGBIN", str(closed))
    with pytest.raises(NoPostgres, match=r"cannot read .*: a folder above it is closed to others"):
        postgres.start_cluster()
