"""Books told as stories, and what holds after any sequence of effects.

The language of the stories, one line for one entry (several effects of one entry are joined by `;`):

    open  ACCOUNT [none|floor|sink] [money]     numbered in `units` unless it says money
    issue BLOCK COUNT -> ACCOUNT                new numbers of the one series
    split BLOCK COUNT BLOCK BLOCK ...           children of these counts would be named; see `_split`
    move  BLOCK -> ACCOUNT                      a transfer of a whole block
    pay   AMOUNT FROM -> TO                     a transfer of money
    lock  NAME BLOCK -> ACCOUNT [until MS]      a reservation of a whole block
    hold  NAME AMOUNT FROM -> TO                a reservation of money
    post  NAME [AMOUNT]                         carry it out, whole or (money) in part
    void  NAME
    expire NAME
    merge BLOCK BLOCK BLOCK ...                 the first is made of the others
    at    MS                                    time of the following entries

A line that ends with `!` and a code is refused with that code and leaves the books as they were.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.books import Account, Block, Books, Reservation
from ledger.canonical import MAX_INTEGER
from ledger.effects import (
    BooksRefusal,
    Child,
    Effect,
    Expire,
    Limit,
    Lock,
    MalformedEffect,
    MergeBlocks,
    Move,
    OpenAccount,
    OpenBlock,
    Pend,
    Post,
    Posting,
    SplitBlock,
    Transfer,
    Transition,
    Void,
    parse_effect,
)
from ledger.errors import LedgerRefusal
from ledger.units import UnitRange


@dataclass(frozen=True, slots=True)
class Earlier:
    """A source that is other books, as a database would be."""

    books: Books

    def account(self, account: str) -> Account | None:
        return self.books.accounts.get(account)

    def block(self, block: str) -> Block | None:
        return self.books.blocks.get(block)

    def reservation(self, pending: str) -> Reservation | None:
        return self.books.reservations.get(pending)

    def last_number(self, series: str) -> int:
        return self.books.series.get(series, 0)


def contents_of(books: Books) -> list[dict[str, Any]]:
    return [books.accounts, books.blocks, books.reservations, books.series]


def contents(books: Books) -> list[dict[str, Any]]:
    return [part.copy() for part in contents_of(books)]


@dataclass(slots=True)
class Story:
    """Books and the entries that were told about them."""

    books: Books = field(default_factory=Books)
    at_ms: int = 0
    transfers: int = 0

    def tell(self, text: str) -> "Story":
        for line in filter(None, (raw.strip() for raw in text.splitlines())):
            said, _, code = line.partition("!")
            words = [effect.split() for effect in said.split(";")]
            if code:
                self.refuse([self.effect(w) for w in words], code.strip())
            elif words[0][0] == "at":
                self.at_ms = int(words[0][1])
            else:
                self.books.apply([self.effect(w) for w in words], self.at_ms)
        return self

    def refuse(self, effects: list[Effect], code: str) -> None:
        """As the writer does: books that read through to what was, and are dropped when they refuse."""
        before = contents(self.books)
        with pytest.raises(LedgerRefusal) as refused:
            Books(Earlier(self.books)).apply(effects, self.at_ms)
        assert refused.value.code == code, str(refused.value)
        assert contents(self.books) == before

    def effect(self, words: list[str]) -> Effect:
        verb, name, *rest = [w for w in words if w != "->"]
        made: Effect = getattr(self, f"_{verb}")(name, *rest)
        return made

    def balance(self, account: str) -> int:
        return self.books.account(account).balance

    def _open(self, account: str, limit: str = "floor", kind: str = "units") -> Effect:
        return OpenAccount(account, kind, Limit(limit), kind == "units", "somebody")

    def _issue(self, block: str, count: str, account: str) -> Effect:
        units = UnitRange.after(self.books.last_number("P1"), int(count))
        return OpenBlock(block, "P1", "P1-001", units, "units", account, "issuance")

    def _split(self, block: str, *parts: str) -> Effect:
        """`split b 40:b1 60:b2`"""
        counts, names = zip(*(part.split(":") for part in parts), strict=True)
        ranges = self.books.block(block).units.split_counts([int(count) for count in counts])
        return SplitBlock(block, tuple(map(Child, names, ranges)))

    def _move(self, block: str, to: str) -> Effect:
        held = self.books.block(block)
        return self._transfer(held.account, to, held.units.count, "units", (Move(block, to),))

    def _pay(self, amount: str, payer: str, payee: str) -> Effect:
        return self._transfer(payer, payee, int(amount), "money")

    def _transfer(
        self, debit: str, credit: str, amount: int, asset: str, moves: tuple[Move, ...] = ()
    ) -> Effect:
        self.transfers += 1
        return Transfer(f"t{self.transfers}", between(debit, credit, amount, asset), moves)

    def _lock(self, name: str, block: str, to: str, _until: str = "", deadline: str = "") -> Effect:
        held = self.books.block(block)
        postings = between(held.account, to, held.units.count, "units")
        return Pend(name, postings, (block,), "order", "ref", int(deadline) if deadline else None)

    def _hold(self, name: str, amount: str, payer: str, payee: str) -> Effect:
        return Pend(name, between(payer, payee, int(amount), "money"), (), "order", "ref")

    def _post(self, name: str, amount: str = "") -> Effect:
        held = self.books.reservation(name)
        debit, credit = held.postings
        count = int(amount) if amount else credit.amount
        moves = tuple(Move(block, credit.account) for block in held.blocks)
        return Post(name, between(debit.account, credit.account, count, debit.asset), moves)

    def _void(self, name: str) -> Effect:
        return Void(name)

    def _expire(self, name: str) -> Effect:
        return Expire(name)

    def _merge(self, block: str, *parents: str) -> Effect:
        return MergeBlocks(block, parents)


def between(debit: str, credit: str, amount: int, asset: str) -> tuple[Posting, ...]:
    return Posting(debit, asset, -amount), Posting(credit, asset, amount)


OPENED = """
    open issuance none
    open grower
    open buyer
    open buffer
    open retired sink
    open bank none money
    open cash:grower floor money
    open cash:buyer floor money
    pay 1000 bank -> cash:buyer
"""


def run(text: str) -> Story:
    return Story().tell(OPENED).tell(text)


# ---- stories -----------------------------------------------------------------------------------------------


def test_a_vintage_from_issuance_to_retirement() -> None:
    story = run("""
        issue b 100 -> grower
        split b 15:b1 40:b2 45:b3
        move b1 -> buffer
        move b2 -> buyer
        move b2 -> retired
        move b1 -> grower
    """)
    assert {a: story.balance(a) for a in ("grower", "buyer", "buffer", "retired", "issuance")} == {
        "grower": 60, "buyer": 0, "buffer": 0, "retired": 40, "issuance": -100,
    }  # fmt: skip


def test_nobody_spends_more_than_they_have() -> None:
    run("""
        pay 1001 cash:buyer -> cash:grower       ! insufficient_balance
        pay 1000 cash:buyer -> cash:grower
        pay 1 cash:buyer -> cash:grower          ! insufficient_balance
    """)


def test_what_is_reserved_cannot_be_spent_twice_and_is_free_again_when_it_is_not_used() -> None:
    story = run("""
        hold h 700 cash:buyer -> cash:grower
        pay 301 cash:buyer -> cash:grower        ! insufficient_balance
        hold i 301 cash:buyer -> cash:grower     ! insufficient_balance
        post h 600
        pay 400 cash:buyer -> cash:grower
    """)
    assert (story.balance("cash:buyer"), story.balance("cash:grower")) == (0, 1000)


def test_a_reservation_is_resolved_once() -> None:
    run("""
        hold h 700 cash:buyer -> cash:grower
        post h 701                               ! pending_resolved
        post h
        post h                                   ! pending_resolved
        void h                                   ! pending_resolved
        hold i 100 cash:buyer -> cash:grower
        void i
        void i                                   ! pending_resolved
        post i                                   ! pending_resolved
        void nothing                             ! pending_resolved
    """)


def test_a_reservation_id_is_used_once() -> None:
    run("""
        hold h 1 cash:buyer -> cash:grower
        void h
        hold h 1 cash:buyer -> cash:grower       ! books_refused
    """)


def test_a_post_comes_before_the_deadline_and_a_void_at_any_time() -> None:
    run("""
        issue b 10 -> grower
        lock l b -> buyer until 100
        at 100
        post l                                   ! pending_resolved
        at 99
        post l
        lock m b -> grower until 200
        at 5000
        void m
    """)


def test_a_reservation_expires_from_its_deadline_on_and_not_before() -> None:
    story = run("""
        issue b 10 -> grower
        lock l b -> buyer until 100
        at 99
        expire l                                 ! pending_resolved
        at 100
        expire l
        expire l                                 ! pending_resolved
        post l                                   ! pending_resolved
        void l                                   ! pending_resolved
        lock m b -> buyer
        at 100000
        expire m                                 ! pending_resolved
        void m
        move b -> buyer
    """)
    assert [held.status for held in story.books.reservations.values()] == ["expired", "voided"]
    assert story.books.account("grower").debits_pending == 0


def test_what_was_split_can_be_merged_again_under_a_new_name() -> None:
    story = run("""
        issue b 100 -> grower
        split b 15:b1 40:b2 45:b3
        merge b1 b2 b3                           ! books_refused
        merge m b3 b1 b2
        move b2 -> buyer                         ! block_not_free
        merge n b1 b2                            ! block_not_free
        move m -> buyer
    """)
    merged = story.books.block("m")
    assert (merged.units, merged.parent, merged.live) == (UnitRange(1, 100), None, True)
    assert story.balance("buyer") == 100


def test_only_adjoining_free_blocks_of_one_batch_and_account_are_merged() -> None:
    story = run("""
        issue b 100 -> grower
        split b 10:b1 10:b2 10:b3 70:b4
        merge m b1                               ! books_refused
        merge m b1 b1                            ! books_refused
        merge m b1 b3                            ! books_refused
        merge m b1 nothing                       ! books_refused
        lock l b2 -> buyer
        merge m b1 b2                            ! block_not_free
        void l
        move b2 -> buyer
        merge m b1 b2                            ! books_refused
        move b3 -> retired
        move b4 -> retired
        merge m b3 b4                            ! block_not_free
    """)
    later = OpenBlock("c", "P1", "P1-002", UnitRange(101, 110), "units", "grower", "issuance")
    story.books.apply([later], 0)
    story.tell("issue d 5 -> grower")
    story.refuse([MergeBlocks("m", ("c", "d"))], "books_refused")


def test_a_locked_block_goes_nowhere_but_where_its_lock_says() -> None:
    story = run("""
        issue b 10 -> grower
        lock l b -> buyer
        move b -> buffer                         ! block_not_free
        lock m b -> buffer                       ! block_not_free
        split b 4:b1 6:b2
        move b1 -> buffer                        ! block_not_free
        post l
        move b1 -> buffer
    """)
    assert (story.balance("buyer"), story.balance("buffer")) == (6, 4)


def test_a_split_block_is_gone_and_its_children_partition_it() -> None:
    story = run("""
        issue b 10 -> grower
        split b 4:b1 6:b2
        move b -> buyer                          ! block_not_free
        split b 5:b3 5:b4                        ! block_not_free
        split b1 1:b2 3:b5                       ! books_refused
        lock l b -> buyer                        ! block_not_free
    """)
    for children in ([(1, 3), (5, 6)], [(1, 4)], [(1, 3), (3, 4)], [(1, 5)], []):
        parts = tuple(Child(f"c{n}", UnitRange(*part)) for n, part in enumerate(children))
        story.refuse([SplitBlock("b1", parts)], "books_refused")


def test_numbers_run_on_and_are_never_used_again() -> None:
    story = run("issue b 10 -> grower")
    for start, end in ((1, 10), (10, 20), (12, 20), (2**52, 2**52)):
        again = OpenBlock("c", "P1", "P1-002", UnitRange(start, end), "units", "grower", "issuance")
        story.refuse([again], "books_refused")
    story.tell("issue c 10 -> grower")
    assert story.books.block("c").units == UnitRange(11, 20)


def test_what_is_retired_stays_retired() -> None:
    story = run("""
        issue b 10 -> grower
        issue c 10 -> grower
        move b -> retired
        move b -> grower                         ! block_not_free
        lock l b -> grower                       ! books_refused
        split b 4:b1 6:b2                        ! block_not_free
    """)
    money = between("cash:buyer", "cash:grower", 1, "money")
    swap = Transfer("swap", money, (Move("b", "grower"), Move("c", "retired")))
    story.refuse([swap], "block_not_free")  # counters would be none the wiser
    through = Transfer("t", money, (Move("c", "retired"), Move("c", "grower")))
    story.refuse([through], "block_not_free")


def test_units_and_postings_agree() -> None:
    story = run("issue b 10 -> grower")
    nine = Transfer("t", between("grower", "buyer", 9, "units"), (Move("b", "buyer"),))
    bare = Transfer("t", between("grower", "buyer", 10, "units"))
    silent = Transfer("t", between("cash:buyer", "cash:grower", 1, "money"), (Move("b", "buyer"),))
    elsewhere = Transfer("t", between("grower", "buffer", 10, "units"), (Move("b", "buyer"),))
    for refused in (nine, bare, silent, elsewhere):
        story.refuse([refused], "books_refused")
    story.refuse([Pend("p", between("grower", "buyer", 9, "units"), ("b",), "order", "r")], "books_refused")
    story.refuse([Pend("p", between("grower", "buyer", 10, "units"), (), "order", "r")], "books_refused")


def test_a_post_moves_only_what_its_reservation_holds() -> None:
    story = run("""
        issue b 10 -> grower
        issue c 10 -> grower
        lock l b -> buyer
    """)
    postings = between("grower", "buyer", 10, "units")
    story.refuse([Post("l", postings, (Move("c", "buyer"),))], "block_not_free")
    more = between("cash:grower", "cash:buyer", 5, "money")
    story.refuse([Post("l", postings + more, (Move("b", "buyer"),))], "insufficient_balance")


def test_postings_balance_in_every_asset_by_itself() -> None:
    story = run("issue b 10 -> grower")
    crossed = (Posting("cash:buyer", "money", -10), Posting("grower", "units", 10))
    story.refuse([Transfer("t", crossed)], "books_refused")
    story.refuse([Pend("p", crossed, (), "order", "r")], "books_refused")
    story.refuse([Transfer("t", between("cash:buyer", "cash:grower", 0, "money"))], "books_refused")
    story.refuse([Transfer("t", between("cash:buyer", "cash:grower", 5, "units"))], "books_refused")
    story.refuse([Transfer("t", ())], "books_refused")
    story.refuse([Transfer("t", between("cash:buyer", "cash:grower", 1, "money") * 33)], "books_refused")


def test_units_are_made_by_issuance_accounts_only() -> None:
    story = run("open cash:other none money")
    for account, source in (("grower", "buyer"), ("issuance", "issuance"), ("grower", "bank")):
        opened = OpenBlock("b", "P1", "1", UnitRange(1, 5), "units", account, source)
        story.refuse([opened], "books_refused")
    story.refuse([OpenBlock("b", "P1", "1", UnitRange(1, 5), "units", "nobody", "issuance")], "books_refused")


def test_an_account_is_opened_once_and_with_its_first_words() -> None:
    run("open grower none   ! books_refused")


def test_floors_are_held_at_the_end_of_an_entry_and_not_within_it() -> None:
    story = run("pay 400 cash:grower -> cash:buyer ; pay 400 cash:buyer -> cash:grower")
    assert story.balance("cash:grower") == 0


def test_no_counter_goes_beyond_what_an_entry_can_state() -> None:
    story = run(f"pay {MAX_INTEGER - 1000} bank -> cash:buyer")
    story.tell("""
        pay 1 bank -> cash:buyer    ! books_refused
        pay 1 bank -> cash:grower   ! books_refused
    """)


# ---- properties --------------------------------------------------------------------------------------------

names = st.sampled_from(["grower", "buyer", "buffer", "retired", "cash:grower", "cash:buyer"])
blocks = st.sampled_from([f"b{n}" for n in range(6)])
amounts = st.integers(1, 60)
pending_names = st.sampled_from(["p1", "p2", "p3"])
lines = st.one_of(
    st.tuples(st.just("issue"), blocks, amounts.map(str), names),
    st.tuples(st.just("move"), blocks, names),
    st.tuples(st.just("pay"), amounts.map(str), names, names),
    st.tuples(st.just("lock"), pending_names, blocks, names),
    st.tuples(st.just("hold"), pending_names, amounts.map(str), names, names),
    st.tuples(st.just("post"), pending_names),
    st.tuples(st.just("post"), pending_names, amounts.map(str)),
    st.tuples(st.just("void"), pending_names),
    st.tuples(st.just("cut"), blocks, amounts.map(str), blocks, blocks),
)


def _cut(story: Story, block: str, at: str, left: str, right: str) -> Effect:
    parts = story.books.block(block).units.split(int(at))
    return SplitBlock(block, (Child(left, parts[0]), Child(right, parts[1])))


@settings(max_examples=150)
@given(st.lists(lines, max_size=40))
def test_after_any_sequence_the_books_are_in_order(sequence: list[tuple[str, ...]]) -> None:
    story, retired, resolved = Story().tell(OPENED), set[int](), dict[str, str]()
    for words in sequence:
        entry = Books(Earlier(story.books))
        try:
            entry.apply([_cut(story, *words[1:]) if words[0] == "cut" else story.effect(list(words))], 0)
        except LedgerRefusal:
            continue  # the entry's books are dropped
        for known, changed in zip(contents_of(story.books), contents_of(entry), strict=True):
            known.update(changed)
        _in_order(story.books)
        gone = {
            n for b in story.books.blocks.values() if b.live and b.account == "retired" for n in numbers(b)
        }
        assert retired <= gone
        retired = gone
        for name, held in story.books.reservations.items():
            assert resolved.get(name, "open") in ("open", held.status)
            resolved[name] = held.status


def numbers(block: Any) -> range:
    return range(block.units.start, block.units.end + 1)


def _in_order(books: Books) -> None:
    """Sums, floors, sinks, partition of the numbers, counters against blocks and reservations."""
    totals: defaultdict[str, int] = defaultdict(int)
    for account in books.accounts.values():
        totals[account.asset] += account.balance
        totals[f"pending {account.asset}"] += account.credits_pending - account.debits_pending
        if account.limit is not Limit.NONE:
            assert account.available >= 0
        if account.limit is Limit.SINK:
            assert account.debits_posted == account.debits_pending == 0
    assert not any(totals.values())

    live = [block for block in books.blocks.values() if block.live]
    assert sorted(n for block in live for n in numbers(block)) == [*range(1, books.last_number("P1") + 1)]
    held: defaultdict[str, int] = defaultdict(int)
    locked: defaultdict[str, int] = defaultdict(int)
    for block in live:
        held[block.account] += block.units.count
        if block.pending is not None:
            assert books.reservation(block.pending).status == "open"
            assert block.block in books.reservation(block.pending).blocks
            locked[block.account] += block.units.count
    reserved: defaultdict[str, int] = defaultdict(int)
    for reservation in books.reservations.values():
        for posting in reservation.postings if reservation.status == "open" else ():
            reserved[posting.account] += max(-posting.amount, 0)
    for account in books.accounts.values():
        assert account.debits_pending == reserved[account.account]
        if account.numbered and account.limit is not Limit.NONE:
            assert account.balance == held[account.account]
            assert account.debits_pending == locked[account.account]


@given(amounts, amounts)
def test_a_post_takes_at_most_what_was_reserved_and_frees_the_rest(reserved: int, posted: int) -> None:
    story = run(f"hold h {reserved} cash:buyer -> cash:grower")
    if posted > reserved:
        story.tell(f"post h {posted} ! pending_resolved")
        return
    story.tell(f"post h {posted}")
    buyer = story.books.account("cash:buyer")
    assert (buyer.balance, buyer.available, buyer.debits_pending) == (1000 - posted, 1000 - posted, 0)


@given(st.integers(2, 500), st.data())
def test_children_of_a_split_have_every_number_of_their_parent_once(count: int, data: Any) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(1, count - 1), min_size=1, max_size=8)))
    story = run(f"issue b {count} -> grower")
    parts = story.books.block("b").units.split(*cuts)
    children = tuple(Child(f"c{n}", part) for n, part in enumerate(parts))
    story.books.apply([SplitBlock("b", children)], 0)
    _in_order(story.books)
    assert story.balance("grower") == count


# ---- effects as JSON ---------------------------------------------------------------------------------------

texts = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)
whole = st.integers(-MAX_INTEGER, MAX_INTEGER)
ranges = st.builds(lambda a, b: UnitRange(min(a, b), max(a, b)), *2 * [st.integers(1, MAX_INTEGER)])
postings = st.lists(st.builds(Posting, texts, texts, whole), max_size=3).map(tuple)
moves = st.lists(st.builds(Move, texts, texts), max_size=3).map(tuple)
effects: st.SearchStrategy[Effect] = st.one_of(
    st.builds(OpenAccount, texts, texts, st.sampled_from(Limit), st.booleans(), texts),
    st.builds(OpenBlock, texts, texts, texts, ranges, texts, texts, texts),
    st.builds(SplitBlock, texts, st.lists(st.builds(Child, texts, ranges), max_size=3).map(tuple)),
    st.builds(Transfer, texts, postings, moves),
    st.builds(MergeBlocks, texts, st.lists(texts, max_size=3).map(tuple)),
    st.builds(
        Pend,
        texts,
        postings,
        st.lists(texts, max_size=3).map(tuple),
        st.sampled_from([*map(str, Lock)]),
        texts,
        st.none() | whole,
    ),
    st.builds(Expire, texts),
    st.builds(Post, texts, postings, moves),
    st.builds(Void, texts),
    st.builds(Transition, texts, texts, texts, texts, texts),
)


@given(effects)
def test_an_effect_is_read_back_as_it_was_written(effect: Effect) -> None:
    assert parse_effect(effect.to_json()) == effect


def _changes(value: dict[str, Any]) -> list[dict[str, Any]]:
    """Everything that is nearly this effect."""
    changed = [{**value, "extra": 1}]
    for key, item in value.items():
        changed.append({k: v for k, v in value.items() if k != key})
        wrong: list[Any] = [1.0, None, [], {}, "", "x" * 201, "\u6751", "a\x00b", "a\nb", "\ud800"]
        if type(item) is int:
            wrong += [str(item), True]
        if type(item) is bool:
            wrong += [0, 1, "true"]
        changed += [{**value, key: bad} for bad in wrong if bad != item or type(bad) is not type(item)]
    return changed


@pytest.mark.parametrize(
    "effect",
    [
        OpenAccount("a", "units", Limit.FLOOR, True, "o"),
        OpenBlock("b", "P1", "1", UnitRange(1, 5), "units", "a", "i"),
        Void("p"),
        Expire("p"),
        Transition("period", "p", "issue", "verified", "issued"),
    ],
)
def test_an_effect_has_exactly_its_fields(effect: Effect) -> None:
    value: Any = effect.to_json()
    for changed in _changes(value):
        with pytest.raises(LedgerRefusal):
            parse_effect(changed)


@pytest.mark.parametrize("value", [None, [], "void", 3, {}, {"type": "mint"}, {"type": ["void"]}])
def test_what_is_no_effect_is_refused(value: Any) -> None:
    with pytest.raises(MalformedEffect):
        parse_effect(value)


@pytest.mark.parametrize("lock", ["", "retirement", "Order", "gift", None, 1])
def test_a_lock_is_of_a_known_kind(lock: Any) -> None:
    value: Any = Pend("p", (), ("b",), "pledge", "ref").to_json()
    assert parse_effect(value).to_json() == value
    with pytest.raises(MalformedEffect):
        parse_effect({**value, "lock": lock})


def test_lists_inside_an_effect_hold_exactly_their_objects() -> None:
    good: Any = Transfer("t", between("a", "b", 5, "units"), (Move("b", "c"),)).to_json()
    assert parse_effect(good).to_json() == good
    wrong: list[tuple[str, Any]] = [
        ("postings", [{"account": "a", "asset": "units", "amount": 5, "extra": 1}]),
        ("postings", [{"account": "a", "asset": "units"}]),
        ("postings", [{"account": "a", "asset": "units", "amount": True}]),
        ("postings", [5]),
        ("postings", {}),
        ("moves", ["b"]),
    ]
    for key, items in wrong:
        with pytest.raises(BooksRefusal):
            parse_effect({**good, key: items})
