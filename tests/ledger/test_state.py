"""The digest of the books, byte for byte as docs/ledger.md spells it."""

import hashlib
import re
from pathlib import Path

from ledger.books import Books
from ledger.effects import Child, Limit, OpenAccount, OpenBlock, Pend, Posting, SplitBlock, Void
from ledger.state import state_of
from ledger.units import UnitRange

DOCUMENT = Path(__file__).parents[2] / "docs" / "ledger.md"


def books() -> Books:
    """Ten units issued, four of them pledged, and a reservation that is over."""
    told = Books()
    give = (Posting("g", "u", -4), Posting("b", "u", 4))
    told.apply(
        [
            OpenAccount("i", "u", Limit.NONE, True, "registry"),
            OpenAccount("g", "u", Limit.FLOOR, True, "grower"),
            OpenAccount("b", "u", Limit.FLOOR, True, "bank"),
            OpenBlock("k", "P1", "P1-001", UnitRange(1, 10), "u", "g", "i"),
            SplitBlock("k", (Child("k1", UnitRange(1, 6)), Child("k2", UnitRange(7, 10)))),
            Pend("p0", give, ("k2",), "order", "o"),
            Void("p0"),
            Pend("p1", give, ("k2",), "pledge", "loan", 1767225600000),
        ],
        0,
    )
    return told


def test_the_documented_text_is_what_is_hashed() -> None:
    section = DOCUMENT.read_text().split("## The state of the books")[1].split("\n## ")[0]
    text = "".join(line.strip() for line in re.findall(r"^    (.*)$", section, re.MULTILINE)[:-1])
    (digest,) = re.findall(r"^    sha256 ([0-9a-f]{64})$", section, re.MULTILINE)
    assert hashlib.sha256(text.encode()).hexdigest() == digest
    assert state_of(books(), 7) == {"size": 7, "accounts": 3, "blocks": 2, "pendings": 1, "sha256": digest}


def test_of_nothing_there_is_a_digest_too() -> None:
    empty = b'{"accounts":[],"blocks":[],"pendings":[]}'
    assert state_of(Books(), 0)["sha256"] == hashlib.sha256(empty).hexdigest()
