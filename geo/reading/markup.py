"""XML of strangers: no document type, no entities, bounded depth and size, nothing fetched.

The parser is Expat, driven directly: it is told of every declaration that could make text grow or come from
elsewhere, and refuses it before it takes effect.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from xml.parsers import expat

from geo.errors import MarkupRefused
from geo.reading.text import code_page, decoded, marked

MAX_DEPTH: Final = 64
MAX_ELEMENTS: Final = 8_000_000
_CHUNK: Final = 1 << 16
_DECLARED: Final = re.compile(rb"""\s*<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_LABEL_CHARACTERS: Final = 500


@dataclass(slots=True)
class Element:
    """A finished element: local name, attributes, the text directly in it, and its children."""

    name: str
    attributes: dict[str, str]
    children: list["Element"] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    label: str = ""
    """Of an element that is not kept: the text of the `name` in it."""

    @property
    def text(self) -> str:
        return "".join(self.pieces).strip()

    def child(self, name: str) -> "Element | None":
        return next((one for one in self.children if one.name == name), None)

    def all(self, name: str) -> list["Element"]:
        return [one for one in self.children if one.name == name]

    def said(self, name: str) -> str | None:
        """The text of a child; None if it is absent or empty."""
        found = self.child(name)
        return None if found is None else found.text or None


@dataclass(frozen=True, slots=True)
class Found:
    """A wanted element, and what the elements around it are called, from the root inwards."""

    element: Element
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Markup:
    """An XML text in UTF-8, its root element's name and attributes, and the encoding it came in."""

    data: bytes
    root: str
    attributes: dict[str, str]
    encoding: str
    encoding_source: str


def load(path: Path, declared: str | None) -> Markup:
    """Read a file as XML up to its root element. Raises MarkupRefused, EncodingUnknown.

    The encoding is that declared by the caller, the byte order mark's, the XML declaration's, else UTF-8.
    """
    raw = path.read_bytes()
    codec, source = _encoding(raw, declared)
    data = decoded(raw, codec, "XML").lstrip().encode()
    seeker = _Seeker()
    _feed(seeker.parser, data, lambda: seeker.root is not None)
    assert seeker.root is not None, "Expat says so itself when there is no element"
    return Markup(data, seeker.root, seeker.attributes, codec.removesuffix("-sig"), source)


def _encoding(raw: bytes, declared: str | None) -> tuple[str, str]:
    if declared is not None:
        return code_page(declared, "XML"), "declared"
    if codec := marked(raw):
        return codec, "format"
    if found := _DECLARED.match(raw):
        return code_page(found[1].decode("ascii"), "XML"), "format"
    return "utf-8", "format"


def walk(markup: Markup, wanted: frozenset[str]) -> Iterator[Found]:
    """Each outermost element of a wanted name, as it ends; nothing else is kept. Raises MarkupRefused."""
    builder = _Builder(wanted)
    for at in range(0, len(markup.data), _CHUNK):
        _parse(builder.parser, markup.data[at : at + _CHUNK], final=False)
        yield from builder.taken()
    _parse(builder.parser, b"", final=True)
    yield from builder.taken()


def _feed(parser: expat.XMLParserType, data: bytes, enough: Callable[[], bool]) -> None:
    for at in range(0, len(data), _CHUNK):
        _parse(parser, data[at : at + _CHUNK], final=False)
        if enough():
            return
    _parse(parser, b"", final=True)


def _parse(parser: expat.XMLParserType, data: bytes, *, final: bool) -> None:
    try:
        parser.Parse(data, final)
    except expat.ExpatError as error:
        detail = f"line {error.lineno}: {expat.ErrorString(error.code)}"
        raise MarkupRefused(reason="not_well_formed", detail=detail) from error


def _parser() -> expat.XMLParserType:
    """The text is UTF-8 by now, whatever its declaration says. Names keep their prefixes."""
    parser = expat.ParserCreate("utf-8")
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    parser.StartDoctypeDeclHandler = _doctype
    parser.EntityDeclHandler = _entity
    parser.buffer_text = True
    return parser


def _doctype(name: str, *rest: object) -> None:
    raise MarkupRefused(reason="doctype", detail=f"<!DOCTYPE {name[:40]}> is not needed for land")


def _entity(name: str, *rest: object) -> None:
    raise MarkupRefused(reason="entity", detail=name[:40])


class _Seeker:
    """Finds the root element."""

    def __init__(self) -> None:
        self.root: str | None = None
        self.attributes: dict[str, str] = {}
        self.parser = _parser()
        self.parser.StartElementHandler = self._start

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self.root is None:
            self.root, self.attributes = local(name), attributes


class _Builder:
    """Builds wanted elements; of the others only those around the present place are known."""

    def __init__(self, wanted: frozenset[str]) -> None:
        self.wanted = wanted
        self.stack: list[Element] = []
        self.kept: int | None = None  # depth at which the wanted element began
        self.found: list[Found] = []
        self.count = 0
        self.parser = _parser()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def taken(self) -> list[Found]:
        found, self.found = self.found, []
        return found

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self.count += 1
        if len(self.stack) >= MAX_DEPTH:
            raise MarkupRefused(reason="nesting", detail=f"elements nest deeper than {MAX_DEPTH}")
        if self.count > MAX_ELEMENTS:
            raise MarkupRefused(reason="size", detail=f"more than {MAX_ELEMENTS} elements")
        element = Element(local(name), attributes)
        if self.kept is None and element.name in self.wanted:
            self.kept = len(self.stack)
        elif self.kept is not None:
            self.stack[-1].children.append(element)
        self.stack.append(element)

    def _text(self, text: str) -> None:
        if self.kept is not None or (self.stack and self.stack[-1].name == "name"):
            self.stack[-1].pieces.append(text)

    def _end(self, name: str) -> None:
        element = self.stack.pop()
        if self.kept is None:
            if element.name == "name" and self.stack:
                self.stack[-1].label = element.text[:_LABEL_CHARACTERS]
        elif len(self.stack) == self.kept:
            self.found.append(Found(element, tuple(one.label for one in self.stack)))
            self.kept = None


def local(name: str) -> str:
    """A name without its prefix."""
    return name.rpartition(":")[2]
