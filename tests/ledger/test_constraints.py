"""What the books promise is refused by the database itself, whoever writes."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from registry.database import create_engine

ACCOUNT = (
    "insert into account values ('{name}', 'units', '{limit}', {numbered}, 'somebody', "
    "{debits}, {credits}, {reserved}, {incoming})"
)
BLOCK = (
    "insert into block values "
    "('{name}', '{series}', 'batch', {start}, {end}, 'units', 'a', null, null, {live})"
)  # fmt: skip


@pytest.fixture
def connection(database_url: str) -> Iterator[sa.Connection]:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def run(connection: sa.Connection, *statements: str) -> None:
    with connection.begin():
        for statement in statements:
            connection.exec_driver_sql(statement)


def refused(connection: sa.Connection, statement: str, reason: str) -> None:
    with pytest.raises(sa.exc.DBAPIError, match=reason):
        run(connection, statement)


def account(
    name: str, limit: str, debits: int = 0, credits_: int = 0, reserved: int = 0, incoming: int = 0
) -> str:
    return ACCOUNT.format(
        name=name, limit=limit, numbered="true", debits=debits, credits=credits_, reserved=reserved,
        incoming=incoming,
    )  # fmt: skip


def block(name: str, start: int, end: int, live: bool = True, series: str = "P1") -> str:
    return BLOCK.format(name=name, series=series, start=start, end=end, live=str(live).lower())


def test_an_account_with_a_floor_is_never_below_zero(connection: sa.Connection) -> None:
    run(connection, account("a", "floor", debits=4, credits_=10, reserved=6))
    refused(connection, "update account set debits_posted = 5 where account = 'a'", "ck_account_limit")
    refused(connection, "update account set debits_pending = 7 where account = 'a'", "ck_account_limit")
    refused(connection, account("b", "floor", reserved=1), "ck_account_limit")
    run(connection, "update account set debits_posted = 5, debits_pending = 5 where account = 'a'")
    run(connection, account("issuance", "none", debits=100))


def test_nothing_leaves_a_sink(connection: sa.Connection) -> None:
    run(connection, account("retired", "sink", credits_=100))
    refused(connection, "update account set debits_posted = 1", "ck_account_limit")
    refused(connection, "update account set debits_pending = 1", "ck_account_limit")


def test_a_counter_is_a_number_that_an_entry_can_state(connection: sa.Connection) -> None:
    refused(connection, account("a", "none", debits=-1), "ck_account_counters")
    refused(connection, account("a", "none", incoming=-1), "ck_account_counters")
    refused(connection, account("a", "none", credits_=2**53), "ck_account_counters")
    refused(connection, account("a", "ceiling"), "ck_account_limit")


def test_a_block_holds_at_least_one_unit(connection: sa.Connection) -> None:
    refused(connection, block("b", 5, 4), "ck_block_range")
    refused(connection, block("b", 0, 4), "ck_block_range")
    run(connection, block("b", 5, 5))


OVERLAP = "overlap|ex_block_live_ranges"


@pytest.mark.parametrize(
    ("start", "end"),
    [(10, 20), (1, 10), (20, 30), (12, 13), (1, 100), (20, 20), (10, 10), (15, 40), (50, 60)],
)
def test_live_ranges_of_a_series_do_not_overlap(connection: sa.Connection, start: int, end: int) -> None:
    run(connection, block("b", 10, 20), block("d", 60, 2**53 - 1), block("e", 1, 5, series="P2"))
    refused(connection, block("c", start, end), OVERLAP)
    run(connection, block("c", start, end, live=False))
    refused(connection, "update block set live = true where block = 'c'", OVERLAP)
    run(connection, block("f", 21, 49), block("g", 6, 9))
    refused(connection, "update block set end_number = 50, start_number = 9 where block = 'f'", OVERLAP)


def test_the_numbers_of_another_series_are_other_numbers(connection: sa.Connection) -> None:
    run(connection, *(block(f"b{n}", 1, 100, series=f"P{n}") for n in range(50)))


def test_a_range_may_be_handed_to_its_parts_parent_first(connection: sa.Connection) -> None:
    run(connection, block("b", 1, 100))
    refused(connection, block("b1", 1, 40), OVERLAP)
    run(
        connection,
        "update block set live = false where block = 'b'",
        block("b1", 1, 40),
        block("b2", 41, 100),
        "update block set live = false where block in ('b1', 'b2')",
        block("m", 1, 100),
    )


def test_sqlite_finds_the_neighbour_through_an_index(sqlite_url: str) -> None:
    engine = create_engine(sqlite_url)
    with engine.connect() as connection:
        plan = connection.exec_driver_sql(
            "explain query plan select end_number from block where live and series = 'P1' "
            "and start_number <= 7 and block <> 'b' order by start_number desc limit 1"
        ).all()
    engine.dispose()
    assert [row[-1] for row in plan] == [
        "SEARCH block USING INDEX ix_block_live (series=? AND start_number<?)"
    ]


@pytest.mark.parametrize("table", ["account", "block", "reservation", "series", "subject_state", "actor_key"])
def test_a_row_of_the_books_is_never_removed(connection: sa.Connection, table: str) -> None:
    if table == "block":
        run(connection, block("b", 1, 2))
        refused(connection, "delete from block", "keeps its rows")
    if table == "account":
        run(connection, account("a", "none"))
        refused(connection, "delete from account", "keeps its rows")
    if connection.dialect.name == "postgresql":
        refused(connection, f"truncate {table}", "keeps its rows")


def test_what_was_said_about_the_log_stays(connection: sa.Connection) -> None:
    run(
        connection,
        "insert into state_entry values (7, 1, 0, 0, 0, 'x')",
        "insert into erasure values ('c', 1, 2)",
        "insert into annotation values (9, 3, 'clerical', 'text', 'c', null)",
    )
    for statement in (
        "update state_entry set sha256 = 'y'",
        "delete from state_entry",
        "update erasure set entry_index = 3",
        "delete from erasure",
        "delete from annotation",
        "update annotation set annotated_index = 4",
    ):
        refused(connection, statement, "append-only")
    if connection.dialect.name == "postgresql":
        for table in ("state_entry", "erasure", "annotation", "log", "posting", "checkpoint", "cosigned"):
            refused(connection, f"truncate {table}", "append-only")
    run(connection, "update annotation set text = null")
