"""The journal's text: one transaction for each effect that posts, and names that no journal misreads."""

from urllib.parse import unquote

from hypothesis import example, given
from hypothesis import strategies as st

from ledger.checkpoint import Checkpoint
from ledger.effects import OpenBlock, Pend, Post, Posting, Transfer, Void
from ledger.entry import Payload
from ledger.envelope import Envelope
from ledger.journal import account_name, commodity, heading, transactions
from ledger.merkle import EMPTY_ROOT
from ledger.replay import Entry
from ledger.units import UnitRange

SALE = (Posting("cash:a", "CNY-fen", -5), Posting("cash:b", "CNY-fen", 5))
UNITS = OpenBlock("b1", "s", "n", UnitRange(1, 9), "CO2E:P1", "held:a", "issued:P1")
PENDING = Pend("p1", SALE, (), "order", "o1")
SAID = Payload(
    type="act", id="00000000-0000-7000-8000-000000000001", by="x", role="bank", mandate="m", machine="trade",
    subject="t 1; b", action="buy", before="none", after="done",
    effects=(UNITS, PENDING, Post("p1", SALE), Transfer("t1", SALE), Void("p2")),
)  # fmt: skip


def test_every_posting_effect_is_one_transaction_at_its_day_and_entry() -> None:
    entry = Entry(7, 1_735_689_599_999, SAID, Envelope(SAID.to_bytes()))  # the last millisecond of 2024, UTC
    first, *others = transactions(entry)
    assert first == (
        '\n2024-12-31 entry 7 trade buy t%201%3B%20b\n    issued:P1  -9 "CO2E:P1"\n    held:a  9 "CO2E:P1"\n'
    )
    assert (
        others
        == [
            '\n2024-12-31 entry 7 trade buy t%201%3B%20b\n    cash:a  -5 "CNY-fen"\n    cash:b  5 "CNY-fen"\n'
        ]
        * 2
    )


def test_the_heading_says_which_log_it_was() -> None:
    lines = heading(Checkpoint("a.example/log", 0, EMPTY_ROOT)).splitlines()
    assert lines[:2] == ["; postings of the log a.example/log", "; size 0"]
    assert all(line.startswith("; ") for line in lines)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=40))
@example(":")
@example("a::b")
@example("(a)  b; c")
def test_a_name_comes_back_and_holds_nothing_that_a_journal_reads_otherwise(name: str) -> None:
    written = account_name(name)
    assert unquote(written) == name == unquote(commodity(name))
    assert all(written.split(":")) or ":" not in written
    assert not set(written + commodity(name)) & set(' ;"()[]|=@*!{}\t')
