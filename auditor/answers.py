"""What stood at a size or at the end of a day, from an audit that reached there."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from auditor.audit import CHINA, Audited, Until
from auditor.books import Books

PLACES: Final = ("held", "locked", "buffer", "retired", "cancelled")


@dataclass(frozen=True, slots=True)
class BatchStanding:
    """Units of one batch, by where they are."""

    batch: str
    issued: int
    places: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        return {"batch": self.batch, "issued": self.issued, **self.places}


@dataclass(frozen=True, slots=True)
class Standing:
    """The state after `size` entries, of which the last came at `at_ms` (milliseconds since 1970, UTC).

    `accounts`: (asset, account) → posted balance and what is reserved of it, whole units of the asset;
    `kinds` sums them by what begins their names. `log_size` entries are published in all.
    """

    size: int
    at_ms: int
    log_size: int
    accounts: dict[tuple[str, str], tuple[int, int]]
    batches: list[BatchStanding]

    @property
    def at(self) -> str:
        return f"{datetime.fromtimestamp(self.at_ms / 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"

    @property
    def at_in_china(self) -> str:
        return f"{datetime.fromtimestamp(self.at_ms / 1000, CHINA):%Y-%m-%d %H:%M:%S}"

    @property
    def kinds(self) -> dict[str, dict[str, int]]:
        totals: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for (asset, account), (balance, _) in sorted(self.accounts.items()):
            totals[asset][account.split(":", 1)[0]] += balance
        return {asset: dict(kinds) for asset, kinds in totals.items()}

    def to_json(self) -> dict[str, Any]:
        by_asset: dict[str, dict[str, Any]] = defaultdict(dict)
        for (asset, account), (balance, reserved) in sorted(self.accounts.items()):
            by_asset[asset][account] = {"balance": balance, "reserved": reserved}
        return {
            "size": self.size,
            "at": self.at,
            "log_size": self.log_size,
            "totals": self.kinds,
            "accounts": by_asset,
            "batches": [batch.to_json() for batch in self.batches],
        }


def standing(audited: Audited) -> Standing:
    """What the audited entries imply."""
    replay = audited.replay
    holdings = replay.holdings
    return Standing(
        size=replay.size,
        at_ms=replay.at_ms,
        log_size=audited.head.checkpoint.size if audited.head is not None else 0,
        accounts=_balances(replay.books),
        batches=[
            BatchStanding(batch, issued, {place: holdings.tally[batch].get(place, 0) for place in PLACES})
            for batch, issued in sorted(holdings.issued.items())
        ],
    )


def _balances(books: Books) -> dict[tuple[str, str], tuple[int, int]]:
    return {
        (account.asset, name): (account.balance, account.debits_pending)
        for name, account in books.accounts.items()
    }


def said_of(until: Until) -> str:
    """How the question was put, for people."""
    if until.day is not None:
        return f"as of {until.day:%Y-%m-%d} (the end of the day in China)"
    return f"as of size {until.size}" if until.size is not None else "now"
