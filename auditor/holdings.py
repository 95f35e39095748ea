"""I1, I2, I3 and the whole of I11: whatever happens to a batch, its units are somewhere, once; and all
accounts of an asset together hold nothing.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from auditor.books import Books
from auditor.effects import OpenBlock
from auditor.entries import Entry
from auditor.findings import Report
from ledger.units import UnitRange

PLACES: Final[Mapping[str, str]] = {
    "units": "held",
    "clearing": "held",
    "buffer": "buffer",
    "retired": "retired",
    "cancelled": "cancelled",
}
"""Where a unit is, by the kind of the account that holds it."""
NOWHERE: Final = "nowhere"


@dataclass(slots=True)
class Holdings:
    """I1, I2 and I3, kept up entry by entry: only what an entry touched is counted again."""

    issued: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    where: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    tally: dict[str, dict[str, int]] = field(default_factory=dict)
    """Units of every batch by place."""

    def see(self, entry: Entry, books: Books, report: Report) -> None:
        if not books.touched_blocks:
            return
        for effect in entry.effects:
            if type(effect) is OpenBlock:
                self.issued[effect.batch] += effect.units.count
        for name, batch in books.touched_blocks.items():
            self._move(name, batch, books, entry, report)
        for batch in sorted(set(books.touched_blocks.values())):
            total = sum(self.tally.get(batch, {}).values())
            report.expect(
                "I1", total == self.issued[batch], f"entry {entry.index} batch {batch}",
                f"{self.issued[batch]} units issued, {self.tally.get(batch)} are accounted for",
            )  # fmt: skip

    def _move(self, name: str, batch: str, books: Books, entry: Entry, report: Report) -> None:
        places = self.tally.setdefault(batch, defaultdict(int))
        before = self.where.pop(name, None)
        if before is not None:
            self.tally[before[0]][before[1]] -= before[2]
        block = books.blocks.get(name)
        if block is None:
            return
        place = PLACES.get(block.account.split(":", 1)[0], NOWHERE)
        at = f"entry {entry.index} block {name}"
        report.expect("I1", place != NOWHERE, at, f"it is in {block.account}")
        count = block.units.end - block.units.start + 1
        report.expect("I3", count >= 1, at, "an empty range")
        place = "locked" if block.pending is not None else place
        self.where[name] = (batch, place, count)
        places[place] += count

    def finish(self, books: Books, report: Report) -> None:
        by_series: dict[str, list[UnitRange]] = defaultdict(list)
        for block in books.blocks.values():
            by_series[block.series].append(block.units)
        for series, last in books.series.items():
            fits = UnitRange(1, last).partitioned_by(by_series[series])
            report.expect("I2", fits, f"series {series}", f"its live blocks are not the units 1 to {last}")
        strange = sorted(by_series.keys() - books.series.keys())
        report.expect("I2", not strange, "blocks", f"of series that issued nothing: {strange}")
        totals: dict[str, int] = defaultdict(int)
        for account in books.accounts.values():
            totals[account.asset] += account.balance
        for asset, total in totals.items():
            report.expect("I11", total == 0, f"asset {asset}", f"all accounts together hold {total}")
