"""The postings of a log as a plain-text journal that hledger and ledger read, so that others redo the sums.

One transaction for each effect that posts; it sums to zero per asset. Reservations post nothing and do not
appear. Names are percent-encoded where a journal would read them otherwise, so that no two become one.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import quote

from ledger.checkpoint import Checkpoint
from ledger.effects import OpenBlock, Post, Posting, Transfer
from ledger.replay import Entry
from ledger.strict_base64 import to_base64


def heading(checkpoint: Checkpoint) -> str:
    """The comment lines that say which log, at which size, under which root."""
    return (
        f"; postings of the log {quote(checkpoint.origin, safe='/.:-_')}\n"
        f"; size {checkpoint.size}\n"
        f"; root {to_base64(checkpoint.root)}\n"
    )


def transactions(entry: Entry) -> Iterator[str]:
    """The transactions of one entry, each after an empty line; amounts in the asset's smallest unit."""
    day = datetime.fromtimestamp(entry.at_ms // 1000, UTC).date().isoformat()
    said = entry.payload
    what = " ".join(_word(text) for text in (said.machine, said.action, said.subject))
    for effect in said.effects:
        postings: tuple[Posting, ...] = ()
        if isinstance(effect, OpenBlock):
            count = effect.units.count
            postings = (
                Posting(effect.source, effect.asset, -count),
                Posting(effect.account, effect.asset, count),
            )
        elif isinstance(effect, Transfer | Post):
            postings = effect.postings
        if postings:
            lines = "".join(
                f'    {account_name(p.account)}  {p.amount} "{commodity(p.asset)}"\n' for p in postings
            )
            yield f"\n{day} entry {entry.index} {what}\n{lines}"


def account_name(account: str) -> str:
    """The account as the journal names it; colons make a hierarchy where no part of it is empty."""
    return quote(account, safe=":-._~" if all(account.split(":")) else "-._~")


def commodity(asset: str) -> str:
    """The asset as the journal names it between quotes, which digits and hyphens need."""
    return quote(asset, safe=":-._~")


def _word(text: str) -> str:
    return quote(text, safe=":-._~/")
