"""Effects that the books of the vectors allow, or do not."""

from collections.abc import Callable

from ledger.effects import (
    Child,
    Expire,
    MergeBlocks,
    Move,
    Pend,
    Post,
    Posting,
    SplitBlock,
    Transfer,
    Void,
)
from ledger.units import UnitRange
from tests.ledger.altered_leaves import Cases
from tests.ledger.example_log import ACCOUNTS, FEN, UNIT, opened, paid, retires


def book_cases(cases: Cases) -> None:
    """After entry 5: b-1 (1-100) and 10,000 fen with org-1. After 6: p-1 and p-2 hold everything."""
    does = cases.does
    does(
        "postings that do not sum to zero",
        6,
        "zero for each asset",
        paid("t-9", ("cash:org-1", -2), ("cash:org-2", 1)),
    )
    mixed = Transfer("t-9", (Posting("cash:org-1", FEN, -1), Posting("units:org-1", UNIT, 1)))
    does("postings that are zero over two assets", 6, "zero for each asset", mixed)
    does("one posting", 6, "2 to 64 postings", paid("t-9", ("cash:org-1", -1)))
    many = [("cash:org-1", -1), ("cash:org-2", 1)]
    does("64 postings", 6, "", paid("t-9", *many * 32))
    does("66 postings", 6, "2 to 64 postings", paid("t-9", *many * 33))
    does("posting of zero", 6, "never zero", paid("t-9", ("cash:org-1", 0), ("cash:org-2", 0)))
    does(
        "account that is not open",
        6,
        "an account is opened first",
        paid("t-9", ("cash:org-1", -1), ("cash:org-3", 1)),
    )
    does(
        "another asset",
        6,
        "an account holds one asset",
        paid("t-9", ("cash:org-1", -1), ("cash:org-2", 1), asset="CNY"),
    )
    does("account opened again", 6, "a name is used once", ACCOUNTS[3])
    does("all that is there", 6, "", paid("t-9", ("cash:org-1", -10_000), ("cash:org-2", 10_000)))
    does("one fen more", 6, "the floor", paid("t-9", ("cash:org-1", -10_001), ("cash:org-2", 10_001)))
    back = paid("t-10", ("bank:CNY", -1), ("cash:org-1", 1))
    does(
        "overdrawn only on the way", 6, "", paid("t-9", ("cash:org-1", -10_001), ("cash:org-2", 10_001)), back
    )
    most = 2**53 - 1
    does(
        "counter beyond 2^53 - 1",
        6,
        "counters have a bound",
        paid("t-9", ("bank:CNY", -most), ("cash:org-2", most)),
    )
    does(
        "units without a block", 6, "a numbered account changes by whole blocks", Transfer("t-9", retires(10))
    )
    does(
        "fewer units than the block",
        6,
        "postings equal what moves",
        Transfer("t-9", retires(99), (Move("b-1", "retired:EX.1"),)),
    )
    does("block that is retired", 6, "", Transfer("t-9", retires(100), (Move("b-1", "retired:EX.1"),)))
    does(
        "block that is locked",
        7,
        "it is reserved",
        Transfer("t-9", retires(60), (Move("b-1.1", "retired:EX.1"),)),
    )
    does(
        "block that was split",
        7,
        "it is no longer live",
        Transfer("t-9", retires(100), (Move("b-1", "retired:EX.1"),)),
    )
    out = (Posting("retired:EX.1", UNIT, -50), Posting("units:org-1", UNIT, 50))
    does(
        "block out of the sink",
        9,
        "a sink is never debited",
        Transfer("t-9", out, (Move("b-1.1.1", "units:org-1"),)),
    )
    halves = (Child("x.1", UnitRange(1, 25)), Child("x.2", UnitRange(26, 50)))
    does("split in the sink", 9, "a sink is final", SplitBlock("b-1.1.1", halves))
    does("numbers that overlap", 6, "numbers run on", opened("b-2", 100, 120))
    does("numbers with a gap", 6, "numbers run on", opened("b-2", 102, 120))
    does("numbers that run on", 6, "", opened("b-2", 101, 120))
    does("another series", 6, "", opened("b-2", 1, 20, "EX-2"))
    does("block name used again", 7, "a name is used once", opened("b-1", 101, 120))
    thirds = ((1, 30), (32, 100)), ((1, 60), (60, 100)), ((1, 100),), ((1, 60), (61, 101))
    for name, ranges in zip(
        ("with a gap", "that overlaps", "into one", "beyond its parent"), thirds, strict=True
    ):
        children = tuple(Child(f"x.{n}", UnitRange(*ends)) for n, ends in enumerate(ranges))
        does(f"split {name}", 6, "children partition the parent", SplitBlock("b-1", children))
    does("merge of locked blocks", 7, "it is reserved", MergeBlocks("b-9", ("b-1.1", "b-1.2")))
    reservation_cases(does)


def reservation_cases(does: Callable[..., None]) -> None:
    move = (Move("b-1.1", "retired:EX.1"),)
    fits = Post("p-1", retires(60), move)
    does("post a millisecond before its deadline", 7, "", fits, at_s=59)
    does("post at its deadline", 7, "a post is before the deadline", fits, at_s=60)
    does("expiry before the deadline", 7, "not before the deadline", Expire("p-1"), at_s=59)
    does("expiry at the deadline", 7, "", Expire("p-1"), at_s=60)
    does("void", 7, "", Void("p-1"))
    does("void after the deadline", 7, "", Void("p-1"), at_s=61)
    does("resolved twice", 9, "a reservation is resolved once", Void("p-1"))
    does("resolved twice in one entry", 7, "a reservation is resolved once", Void("p-1"), fits)
    does(
        "expiry of what has no deadline",
        6,
        "only what has a deadline",
        Pend("p-9", retires(100), ("b-1",), "pledge", "x"),
        Expire("p-9"),
    )
    does(
        "name of a reservation used again",
        9,
        "a name is used once",
        Pend("p-1", retires(10), ("b-1.1.2",), "order", "x"),
    )
    does("unknown reservation", 7, "it does not exist", Void("p-9"))
    does(
        "post of a block that is not held",
        7,
        "the reservation holds it",
        Post("p-1", retires(40), (Move("b-1.2", "retired:EX.1"),)),
    )
    more = Pend("p-9", (Posting("cash:org-1", FEN, -10), Posting("cash:org-2", FEN, 10)), (), "order", "x")
    taken = Post("p-9", (Posting("cash:org-1", FEN, -11), Posting("cash:org-2", FEN, 11)))
    does("post of more than was reserved", 6, "at most what was reserved", more, taken)
    less = Post("p-9", (Posting("cash:org-1", FEN, -9), Posting("cash:org-2", FEN, 9)))
    does("post of less than was reserved", 6, "", more, less)
    does(
        "reserved and spent",
        6,
        "pending debits count",
        more,
        paid("t-9", ("cash:org-1", -9_991), ("cash:org-2", 9_991)),
    )
    does(
        "reservation of other units than its blocks",
        6,
        "postings equal what is locked",
        Pend("p-9", retires(99), ("b-1",), "order", "x"),
    )
