"""The fonts of printed documents, and which characters they can show.

The certificate is set in Noto Sans SC (OFL-1.1), which the build puts into `fonts/` beside this file. A name
may hold a character that it lacks (U+20BB7 for one): folders of the setting `font_dirs` come after ours. What
no font covers is refused by name when it is entered, not drawn as a box when the certificate is due.
"""

import hashlib
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import typst

from registry.documents.errors import FontsMissing, GlyphMissing

FAMILY: Final = "Noto Sans SC"
FOLDER: Final = Path(__file__).parent / "fonts"
SETTING: Final = "font_dirs"
SUFFIXES: Final = frozenset({".ttf", ".otf", ".ttc", ".otc"})


@dataclass(frozen=True, slots=True)
class FontSet:
    """Our fonts and those of the setting, ready for Typst.

    `families` in the order in which they are tried; `characters` the code points that at least one of them
    shows; `digest` the SHA-256 (hex) over the font files, so that two machines know whether they print alike.
    """

    loaded: typst.Fonts
    families: tuple[str, ...]
    characters: frozenset[int]
    digest: str


def font_set(font_dirs: Sequence[Path] = ()) -> FontSet:
    """The fonts of `registry/documents/fonts`, then those of `font_dirs`. Raises `FontsMissing`."""
    return _font_set(tuple(font_dirs))


@lru_cache(maxsize=4)
def _font_set(font_dirs: tuple[Path, ...]) -> FontSet:
    ours = _families((FOLDER,))
    if FAMILY not in ours:
        raise FontsMissing(family=FAMILY, folder=str(FOLDER))
    files = [path for folder in (FOLDER, *font_dirs) for path in _font_files(folder)]
    digest, characters = hashlib.sha256(), set[int]()
    for path in files:
        data = path.read_bytes()
        digest.update(hashlib.sha256(data).digest())
        for offset in _faces(data):
            characters |= _characters(data, offset)
    others = [family for family in _families(font_dirs) if family != FAMILY]
    return FontSet(
        loaded=typst.Fonts(
            include_system_fonts=False,
            include_embedded_fonts=True,  # the typewriter face of digests and keys comes with Typst
            font_paths=[str(folder) for folder in (FOLDER, *font_dirs)],
        ),
        families=(FAMILY, *others),
        characters=frozenset(characters),
        digest=digest.hexdigest(),
    )


def missing_characters(text: str, font_dirs: Sequence[Path] = ()) -> str:
    """The characters of `text` that no font can show, each once, in order. A line feed needs no glyph."""
    known = font_set(font_dirs).characters
    return "".join(dict.fromkeys(one for one in text if ord(one) not in known and one != "\n"))


def require_glyphs(text: str, field: str, font_dirs: Sequence[Path] = ()) -> None:
    """Refuse a text that a certificate could not show; `field` names it to the reader. Raises
    `GlyphMissing`.
    """
    for character in missing_characters(text, font_dirs):
        raise GlyphMissing(
            character=character if character.isprintable() else ascii(character),
            codepoint=f"U+{ord(character):04X}",
            field=field,
            setting=SETTING,
        )


def _font_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def _families(folders: Sequence[Path]) -> list[str]:
    fonts = typst.Fonts(
        include_system_fonts=False,
        include_embedded_fonts=False,
        font_paths=[str(folder) for folder in folders],
    )
    return sorted(set(fonts.families()))


def _faces(data: bytes) -> Iterator[int]:
    """Offsets of the faces of a font file (OpenType 1.9, "TTC header")."""
    if data[:4] != b"ttcf":
        yield 0
        return
    (count,) = struct.unpack_from(">I", data, 8)
    yield from struct.unpack_from(f">{count}I", data, 12)


def _characters(data: bytes, face: int) -> set[int]:
    """Code points with a glyph, from the `cmap` table of one face (formats 4 and 12; others say nothing
    more).
    """
    (tables,) = struct.unpack_from(">H", data, face + 4)
    found: set[int] = set()
    for number in range(tables):
        tag, _, offset, _ = struct.unpack_from(">4sIII", data, face + 12 + 16 * number)
        if tag != b"cmap":
            continue
        (encodings,) = struct.unpack_from(">H", data, offset + 2)
        for encoding in range(encodings):
            _, _, at = struct.unpack_from(">HHI", data, offset + 4 + 8 * encoding)
            (form,) = struct.unpack_from(">H", data, offset + at)
            if form == 4:
                found |= _format_4(data, offset + at)
            elif form == 12:
                found |= _format_12(data, offset + at)
    return found


def _format_12(data: bytes, at: int) -> set[int]:
    (groups,) = struct.unpack_from(">I", data, at + 12)
    found: set[int] = set()
    for start, end, glyph in struct.iter_unpack(">III", data[at + 16 : at + 16 + 12 * groups]):
        found.update(range(start if glyph else start + 1, end + 1))
    return found


def _format_4(data: bytes, at: int) -> set[int]:
    (doubled,) = struct.unpack_from(">H", data, at + 6)
    count = doubled // 2
    ends = struct.unpack_from(f">{count}H", data, at + 14)
    starts = struct.unpack_from(f">{count}H", data, at + 16 + doubled)
    deltas = struct.unpack_from(f">{count}H", data, at + 16 + 2 * doubled)
    offsets_at = at + 16 + 3 * doubled
    offsets = struct.unpack_from(f">{count}H", data, offsets_at)
    found: set[int] = set()
    for segment, (start, end, delta, offset) in enumerate(zip(starts, ends, deltas, offsets, strict=True)):
        for character in range(start, min(end, 0xFFFE) + 1):
            glyph = character
            if offset:
                place = offsets_at + 2 * segment + offset + 2 * (character - start)
                (glyph,) = struct.unpack_from(">H", data, place)
                if glyph == 0:
                    continue
            if (glyph + delta) & 0xFFFF:
                found.add(character)
    return found
