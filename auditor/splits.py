"""Money held against the acts that move it: I11.

From the entries alone. What an act pays follows from units and prices that were logged before; where it goes
follows from the programme's rates and from the parcels' credited units (their area before issuance). Both
are computed again, and the postings of the entry must be exactly that. Any other act that moves money is
found.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from auditor.books import Books
from auditor.effects import Move, Post, Transfer
from auditor.entries import Entry, read_entry
from auditor.findings import Report
from auditor.history import History, credited_units
from registry.accounts.rules import BANK_ACCOUNT, MONEY, cash_account
from registry.market.proceeds import Proceeds, Rates, Share, split_payment
from registry.programmes.rules import units_account


@dataclass(frozen=True, slots=True)
class Payment:
    """What a buyer pays for units of a project, as the act says it was divided."""

    project: str
    buyer: str
    due_fen: int
    stated: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Bill:
    """All that an entry may do with money: payments to divide, and sums that go straight from account to
    account.
    """

    payments: Sequence[Payment] = ()
    straight: Sequence[tuple[str, str, int]] = ()
    handed_over: tuple[str, str, int] | None = None
    """Units that stand against the payment: buyer, project, count."""
    actor: str | None = None
    """The organisation that must have acted, where a person did."""


def judge_money(history: History, entry: Entry, books: Books, report: Report) -> None:
    """I11 of every entry: its money is what its act owes, and a split adds up to the sale."""
    posted = money_posted(entry)
    biller = BILLERS.get((entry.machine, entry.action))
    if biller is None:
        report.count("I11")
        if posted:
            report.find("I11", _place(entry), f"it moves money, and is no payment: {posted}")
        return
    bill = biller(history, entry)
    due: dict[str, int] = {}
    for payer, payee, fen in bill.straight:
        due[payer] = due.get(payer, 0) - fen
        due[payee] = due.get(payee, 0) + fen
    for payment in bill.payments:
        proceeds = _check_split(history, entry, payment, _place(entry), report)
        owner = history.projects[payment.project].owner
        for account, fen in receipts(proceeds, owner).items():
            due[account] = due.get(account, 0) + fen
        buyer = cash_account(payment.buyer)
        due[buyer] = due.get(buyer, 0) - proceeds.gross_fen
    _check_postings(posted, due, entry, report)
    if bill.handed_over is not None:
        _check_units(history, entry, books, bill.handed_over, _place(entry), report)
    if bill.actor is not None:
        actor = history.organisation(entry)
        report.expect("I9", actor == bill.actor, _place(entry), f"{actor} acts for {bill.actor}")


def _place(entry: Entry) -> str:
    return f"entry {entry.index} {entry.machine} {entry.action}"


def money_posted(entry: Entry) -> dict[str, int]:
    """What an entry changes on each money account, in fen; accounts that end as they began are left out."""
    posted: dict[str, int] = {}
    for effect in entry.effects:
        kind = type(effect)
        if kind is Transfer or kind is Post:
            for account, asset, amount in effect.postings:  # type: ignore[union-attr]
                if asset == MONEY:
                    posted[account] = posted.get(account, 0) + amount
    return {account: fen for account, fen in posted.items() if fen} if posted else posted


def receipts(proceeds: Proceeds, owner: str) -> dict[str, int]:
    """Where a divided payment goes: fen by account."""
    received: Counter[str] = Counter()
    received.update({f"reserve:tax:{owner}": proceeds.tax_fen})
    received.update({f"reserve:insurance:{owner}": proceeds.insurance_fen})
    received.update({f"reserve:fee:{owner}": proceeds.fee_fen})
    received.update({cash_account(owner): proceeds.operator_fen})
    for village, fen in proceeds.villages:
        received.update({cash_account(village): fen})
    return received


def _check_postings(posted: Mapping[str, int], due: Mapping[str, int], entry: Entry, report: Report) -> None:
    owed = {account: fen for account, fen in due.items() if fen}
    report.count("I11", max(len(owed), 1))
    if posted == owed:
        return
    for account in sorted(posted.keys() | owed.keys()):
        report.expect(
            "I11", posted.get(account, 0) == owed.get(account, 0), f"{_place(entry)} {account}",
            f"{posted.get(account, 0)} fen are posted, {owed.get(account, 0)} are due",
        )  # fmt: skip


def _check_split(history: History, entry: Entry, payment: Payment, where: str, report: Report) -> Proceeds:
    """The payment divided again; what the entry states must add up, and be that."""
    stated = payment.stated
    lines = ("vat_fen", "surcharge_fen", "insurance_fen", "fee_fen", "operator_fen")
    total = sum(stated[line] for line in lines) + sum(fen for _, fen in stated["villages"])
    gross = stated["gross_fen"]
    report.expect("I11", total == gross, where, f"the lines are {total} fen of a payment of {gross}")
    report.expect(
        "I11",
        gross == payment.due_fen,
        where,
        f"{gross} fen are paid; units and price give {payment.due_fen}",
    )
    proceeds = split_payment(
        payment.due_fen, _rates(history, payment.project), _shares(history, entry, payment)
    )
    again = proceeds.facts()
    for line in (*lines, "villages"):
        report.expect(
            "I11",
            stated[line] == again[line],
            f"{where} {line}",
            f"{stated[line]} is stated, {again[line]} is due",
        )
    return proceeds


def _rates(history: History, project: str) -> Rates:
    terms = history.terms(project)
    return Rates(terms.vat_ppm, terms.surcharge_ppm, terms.insurance_ppm, terms.fee_ppm, terms.village_ppm)


def _shares(history: History, entry: Entry, payment: Payment) -> list[Share]:
    """The parcels' weights: units credited so far (with those of this very entry), area before there are
    any, each ground once.
    """
    credited = Counter(history.credited[payment.project])
    if entry.machine == "issuance":
        credited.update(credited_units(entry.facts))
    by_units = any(credited.values())
    return [
        Share(
            number,
            history.owners[parcel],
            credited[number] if by_units else _ground_cm2(history, parcel, version),
        )
        for number, (parcel, version) in sorted(history.projects[payment.project].parcels.items())
    ]


def _ground_cm2(history: History, parcel: str, version: int) -> int:
    """A parcel's area; that of a superseded one counts as its successors'."""
    land = history.land.get(parcel)
    return 0 if land is not None and land.state == "superseded" else history.areas_cm2[parcel, version]


def _check_units(
    history: History,
    entry: Entry,
    books: Books,
    handed_over: tuple[str, str, int],
    where: str,
    report: Report,
) -> None:
    """Delivery against payment: the buyer gets the units it pays for, in this entry."""
    buyer, project, units = handed_over
    account = units_account(buyer, history.projects[project].programme)
    moves: list[Move] = [m for e in entry.effects if isinstance(e, Transfer | Post) for m in e.moves]
    blocks = [books.block(move.block) for move in moves]
    got = sum(
        block.units.count
        for move, block in zip(moves, blocks, strict=True)
        if move.to == account and block.series == project
    )
    whole = got == units and all(move.to == account for move in moves)
    report.expect("I11", whole, where, f"{units} units are paid, {got} are handed over")


# ---- what each act owes ------------------------------------------------------------------------------------


def _deposit(history: History, entry: Entry) -> Bill:
    facts: dict[str, Any] = entry.facts
    return Bill(straight=[(BANK_ACCOUNT, cash_account(facts["organisation"]), facts["amount_fen"])])


def _reversal(history: History, entry: Entry) -> Bill:
    """A deposit that was recorded wrongly goes back whole: the entry it names says what it was."""
    corrected = entry.facts["corrects"]["index"]
    deposit = read_entry(corrected, history.recall(corrected))
    if (deposit.machine, deposit.subject) != (entry.machine, entry.subject):
        raise ValueError(f"entry {corrected} is not the deposit that is reversed")
    facts: dict[str, Any] = deposit.facts
    back = (cash_account(facts["organisation"]), BANK_ACCOUNT, facts["amount_fen"])
    return Bill(straight=[back], actor=facts["bank"])


def _premium(history: History, entry: Entry) -> Bill:
    facts: dict[str, Any] = entry.facts
    option = history.options[entry.subject]
    payment = Payment(option.project, option.buyer, option.units * option.premium_fen, facts["proceeds"])
    return Bill([payment], actor=option.buyer)


def _strike(history: History, entry: Entry) -> Bill:
    facts: dict[str, Any] = entry.facts
    option = history.options[entry.subject]
    payment = Payment(option.project, option.buyer, facts["units"] * option.strike_fen, facts["proceeds"])
    return Bill([payment], handed_over=(option.buyer, option.project, facts["units"]), actor=option.buyer)


def _refund(history: History, entry: Entry) -> Bill:
    option = history.options[entry.subject]
    fen = option.undelivered * option.premium_fen
    return Bill(
        straight=[(cash_account(option.seller), cash_account(option.buyer), fen)], actor=option.seller
    )


def _strikes(history: History, entry: Entry) -> Bill:
    """The strikes of options that an issuance delivers; what is only set aside is not paid yet."""
    facts: dict[str, Any] = entry.facts
    payments = []
    for line in facts["deliveries"]:
        option = history.options[line["option"]]
        due_fen = 0 if line["pending"] else line["units"] * option.strike_fen
        if due_fen:
            payments.append(Payment(option.project, option.buyer, due_fen, line["proceeds"]))
    return Bill(payments)


def _sale(history: History, entry: Entry) -> Bill:
    facts: dict[str, Any] = entry.facts
    listing = history.offers[facts["listing"]]
    due_fen = facts["units"] * listing.price_fen
    payment = Payment(listing.project, facts["buyer"], due_fen, facts["proceeds"])
    return Bill(
        [payment], handed_over=(facts["buyer"], listing.project, facts["units"]), actor=facts["buyer"]
    )


def _subscription(history: History, entry: Entry) -> Bill:
    facts: dict[str, Any] = entry.facts
    subscription = history.subscriptions[entry.subject]
    offer = history.offers[subscription.offer]
    due_fen = facts["units"] * offer.price_fen
    payment = Payment(offer.project, subscription.buyer, due_fen, facts["proceeds"])
    return Bill([payment], handed_over=(subscription.buyer, offer.project, facts["units"]))


BILLERS: Final[Mapping[tuple[str, str], Callable[[History, Entry], Bill]]] = {
    ("deposit", "record"): _deposit,
    ("deposit", "reverse"): _reversal,
    ("option", "activate"): _premium,
    ("option", "take"): _strike,
    ("option", "take_part"): _strike,
    ("option", "close_short"): _refund,
    ("issuance", "approve"): _strikes,
    ("trade", "buy"): _sale,
    ("subscription", "fulfil"): _subscription,
}
"""Every act that moves money."""
