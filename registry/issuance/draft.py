"""The effects of one command in the making: accounts opened once, names given out in order.

A service that has several entries (the person's act, then consequences) uses one `Draft` for all of them and
takes the effects of each entry with `take`. Names are `<request id>.<n>`, so the same command over the same
state drafts the same bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ledger.books import Block
from ledger.effects import Child, Effect, Limit, OpenAccount, Posting, SplitBlock, Transfer
from ledger.units import UnitRange
from registry.accounts.rules import MONEY
from registry.acts import Desk
from registry.issuance.units import Cut
from registry.programmes.rules import (
    buffer_account,
    residue_account,
    residue_asset,
    unit_asset,
    units_account,
)

MAX_PAYEES = 60
"""Postings to others in one transfer; the books allow 64 in all."""


@dataclass(slots=True)
class Draft:
    """Effects drafted for `desk`, in the order in which they apply."""

    desk: Desk
    effects: list[Effect] = field(default_factory=list)
    _opened: set[str] = field(default_factory=set)
    _names: int = 0

    def name(self) -> str:
        """The next name of a block, transfer or reservation of this request."""
        self._names += 1
        return f"{self.desk.request_id}.{self._names}"

    def add(self, *effects: Effect) -> None:
        self.effects += effects

    def take(self) -> list[Effect]:
        """What was drafted so far, for one entry."""
        taken, self.effects = self.effects, []
        return taken

    # -- accounts

    def account(self, account: str, asset: str, limit: Limit, owner: str, *, numbered: bool = False) -> str:
        """Open the account unless it is open; answers its name."""
        if account not in self._opened and self.desk.ledger.source.account(account) is None:
            self.add(OpenAccount(account, asset, limit, numbered, owner))
        self._opened.add(account)
        return account

    def units_account(self, organisation: str, programme: str) -> str:
        account = units_account(organisation, programme)
        return self.account(account, unit_asset(programme), Limit.FLOOR, organisation, numbered=True)

    def buffer_account(self, project: str, programme: str) -> str:
        account = buffer_account(project)
        return self.account(account, unit_asset(programme), Limit.FLOOR, "registry", numbered=True)

    def residue_account(self, project: str, programme: str) -> str:
        return self.account(residue_account(project), residue_asset(programme), Limit.FLOOR, "registry")

    def reserve_account(self, purpose: str, operator: str) -> str:
        """Money kept back from proceeds: tax, insurance or fee."""
        return self.account(f"reserve:{purpose}:{operator}", MONEY, Limit.FLOOR, operator)

    # -- blocks and money

    def cut(self, cuts: Sequence[Cut]) -> list[str]:
        """Split blocks so that the chosen ranges are blocks of their own; answers the names of these."""
        chosen: list[str] = []
        for cut in cuts:
            names = self.split(cut.block, cut.parts)
            chosen += [name for name, part in zip(names, cut.parts, strict=True) if part in cut.chosen]
        return chosen

    def split(self, block: Block, parts: Sequence[UnitRange]) -> list[str]:
        """Names of the parts of a block; the block's own where it stays whole."""
        if len(parts) == 1:
            return [block.block]
        children = tuple(Child(self.name(), part) for part in parts)
        self.add(SplitBlock(block.block, children))
        return [child.block for child in children]

    def pay(self, payer: str, payees: Sequence[tuple[str, int]]) -> None:
        """Money from one account to others, in as many transfers as it takes; nothing to the payer itself or
        of zero.
        """
        due = [(account, fen) for account, fen in payees if fen and account != payer]
        for first in range(0, len(due), MAX_PAYEES):
            part = due[first : first + MAX_PAYEES]
            total = sum(fen for _, fen in part)
            postings = (
                Posting(payer, MONEY, -total),
                *(Posting(account, MONEY, fen) for account, fen in part),
            )
            self.add(Transfer(self.name(), postings))
