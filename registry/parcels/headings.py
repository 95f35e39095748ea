"""Which heading of an unknown file looks like which field: proposed for a mapping, never decided."""

import json
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Final

from registry.parcels.mapping import DATA, FieldMap

_LEAST_SHARED: Final = 2
"""A heading that is contained in a known one, or contains it, has at least so many characters."""


def propose_columns(mapping: FieldMap, headings: Sequence[str], columns: Mapping[str, str]) -> dict[str, str]:
    """A heading for each field that has none in `columns`, where one looks like it; each heading at most
    once. First those that are spelled alike, then those that contain a known heading or are part of one.
    """
    free = [heading for heading in headings if heading not in columns.values()]
    proposed: dict[str, str] = {}
    for alike in (_same, _contained):
        for field in mapping.fields:
            if field in columns or field in proposed:
                continue
            words = _words(mapping, field)
            found = next((heading for heading in free if alike(_plain(heading), words)), None)
            if found is not None:
                proposed[field] = found
                free.remove(found)
    return proposed


def _words(mapping: FieldMap, field: str) -> frozenset[str]:
    """Known headings of a field, plain."""
    known = (*mapping.fields[field].headings, *heading_words().get(field, ()), field)
    return frozenset(_plain(heading) for heading in known)


def _same(heading: str, words: Collection[str]) -> bool:
    return heading in words


def _contained(heading: str, words: Collection[str]) -> bool:
    return len(heading) >= _LEAST_SHARED and any(
        heading in word or (len(word) >= _LEAST_SHARED and word in heading) for word in words
    )


def _plain(heading: str) -> str:
    """Without case, width, spaces, dashes and units in brackets: `林班 号（亩）` and `林班号` are one."""
    text = unicodedata.normalize("NFKC", heading).casefold().partition("(")[0]
    return "".join(letter for letter in text if letter.isalnum())


@cache
def heading_words() -> Mapping[str, Sequence[str]]:
    words: dict[str, list[str]] = json.loads((DATA / "headings-zh.json").read_text(encoding="utf-8"))
    return words
