"""The connection to PostgreSQL is lost at COMMIT: stored or not, nothing doubles, is lost, or forks."""

import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from registry.installation import Installation
from registry.settings import Home
from registry.writer import WriterStopped
from tests.postgres import Cluster
from tests.reliability.acting import Ground, asked
from tests.reliability.conftest import Grounds
from tests.reliability.figures import Figures
from tests.reliability.judging import Verdict, committed_size, judge
from tests.reliability.loading import Said
from tests.reliability.proxies import LossyProxy

GROUP = 5


@pytest.fixture
def proxy(postgres_template: Cluster) -> Iterator[LossyProxy]:
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:  # short: it is the path of a socket
        yield LossyProxy(Path(folder), postgres_template.folder).start()


def through(proxy: LossyProxy, ground: Ground) -> Ground:
    url = ground.home.database_url.replace(str(proxy.server), str(proxy.folder))
    return replace(ground, home=Home.at(ground.home.path, url))


def lose_one(proxy: LossyProxy, ground: Ground, how: str) -> list[str]:
    """A group of which the commit is lost; everybody is told that nobody knows. Answers their ids."""
    installation = Installation.open(through(proxy, ground).home)
    try:
        done = str(uuid.uuid4())
        assert installation.office.execute(*asked(ground, done), done).status == "done"
        requests = [str(uuid.uuid4()) for _ in range(GROUP)]
        proxy.lost.clear()
        proxy.losing = how
        for future in [installation.office.send(*asked(ground, r), r) for r in requests]:
            stopped = future.exception(60)
            assert isinstance(stopped, WriterStopped)
            assert isinstance(stopped.__cause__, sa.exc.OperationalError)
        assert proxy.lost.wait(10)  # the proxy says so just after it has cut the line
        with pytest.raises(WriterStopped):
            installation.office.execute(*asked(ground, done), done)
        return requests
    finally:
        installation.database.dispose()


@pytest.mark.parametrize("how", ["before", "after"], ids=["not stored", "stored"])
def test_the_connection_is_lost_at_commit(
    on_postgres: Grounds, proxy: LossyProxy, go_oracle: Path, figures: Figures, how: str
) -> None:
    ground = on_postgres()
    before = committed_size(ground.home)
    public = (ground.home.log / "checkpoint").read_bytes()
    requests = lose_one(proxy, ground, how)
    stored = committed_size(ground.home) - before
    assert (stored > 1) == (how == "after")

    verdict = Verdict()
    judge(ground, Said(set(requests)), verdict, go=go_oracle, saved=[public])
    again = Installation.open(ground.home)
    try:
        receipts = [again.office.execute(*asked(ground, request), request) for request in requests]
        assert all(receipt.replayed for receipt in receipts)
        assert len({receipt.entries[0] for receipt in receipts}) == GROUP
    finally:
        again.close()
    assert committed_size(ground.home) == before + 1 + GROUP
    figures.tell(f"commit lost {how}", sent=GROUP + 1, stored=stored, doubled=verdict.doubled, lost=0)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["before", "after"], ids=["not stored", "stored"])
def test_a_hundred_lost_commits_on_one_log(
    on_postgres: Grounds, proxy: LossyProxy, go_oracle: Path, figures: Figures, how: str
) -> None:
    ground, verdict = on_postgres(), Verdict()
    before = committed_size(ground.home)
    for number in range(100):
        requests = lose_one(proxy, ground, how)
        judge(ground, Said(set(requests)), verdict, go=go_oracle, audited=number % 20 == 19)
    of_the_books = committed_size(ground.home) - before - 100 * (1 + GROUP)
    assert of_the_books in (0, 1)  # a `state` entry, where a day has begun since the home was made
    figures.tell(f"commits lost {how}", rounds=100, doubled=verdict.doubled, lost=verdict.lost)
