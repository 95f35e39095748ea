"""The reader's language: Chinese first, English beside it.

The message id of every sentence is its English text. Chinese comes from `registry/locale/zh_CN.po`, which
Babel compiles in memory when it is first asked for; there are no compiled catalogues in the repository.
"""

import gettext
import io
import string
from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

CATALOGUES: Final = Path(__file__).parent / "locale"
CODED: Final[Mapping[str, str]] = {
    "field": "field",
    "status": "state",
    "kind": "kind",
    "reason": "fault",
    "role": "role",
}
"""Facts of refusals that are codes, and the context in which the catalogue has their words."""


class Language(StrEnum):
    """The languages a reader can have, by their tags."""

    CHINESE = "zh-CN"
    ENGLISH = "en"


class Refusal(Protocol):
    """What the refusals of all packages have in common."""

    template: ClassVar[str]
    facts: dict[str, object]


@cache
def translations(language: Language) -> gettext.NullTranslations:
    """The catalogue of a language; English needs none."""
    if language is Language.ENGLISH:
        return gettext.NullTranslations()
    with (CATALOGUES / "zh_CN.po").open("rb") as file:
        catalogue = read_po(file, locale="zh_CN", abort_invalid=True)
    compiled = io.BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def sentence(refusal: Refusal, language: Language) -> str:
    """What is refused and why, in the reader's language."""
    return filled(refusal.template, refusal.facts, language)


def filled(template: str, facts: Mapping[str, object], language: Language) -> str:
    """A template in the reader's language with its facts in place, codes among them in the reader's words."""
    said = {name: _said(name, fact, language) for name, fact in facts.items()}
    return _Formatter().vformat(translate(template, language), (), said)


def _said(name: str, fact: object, language: Language) -> object:
    if not isinstance(fact, str) or name not in CODED:
        return fact
    if name == "field":
        return field_named(fact, language)
    return translations(language).pgettext(CODED[name], fact)


def translate(text: str, language: Language) -> str:
    """A text in the reader's language; the text itself where the catalogue has none."""
    return translations(language).gettext(text)


def field_named(name: str, language: Language) -> str:
    """A field of a parcel file in the reader's words, with its name in mappings; a heading as it is."""
    said = translations(language).pgettext("field", name)
    return name if said == name else f"{said} ({name})"


def chosen(asked: str | None, accepted: str | None) -> Language:
    """The language of an answer: `?lang=` first, then `Accept-Language`, else Chinese."""
    for tag in (asked or "", *_by_preference(accepted or "")):
        found = _known(tag)
        if found is not None:
            return found
    return Language.CHINESE


def _known(tag: str) -> Language | None:
    primary = tag.strip().lower().replace("_", "-").split("-")[0]
    return {"zh": Language.CHINESE, "en": Language.ENGLISH}.get(primary)


def _by_preference(accepted: str) -> list[str]:
    """The tags of an `Accept-Language` field, most wanted first (RFC 9110, 12.5.4); quality 0 excludes."""
    weighted: list[tuple[float, str]] = []
    for item in accepted.split(",")[:20]:
        tag, _, parameter = item.partition(";")
        quality = _quality(parameter)
        if quality > 0:
            weighted.append((quality, tag))
    return [tag for _, tag in sorted(weighted, key=lambda pair: -pair[0])]


def _quality(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if not name:
        return 1.0
    try:
        return min(1.0, float(value)) if name == "q" else 1.0
    except ValueError:
        return 0.0


class _Formatter(string.Formatter):
    """`str.format` for sentences: plain names only, and a fact nobody gave shows as an ellipsis."""

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, str]:
        return kwargs.get(field_name, "…"), field_name

    def format_field(self, value: Any, format_spec: str) -> str:
        return "、".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
