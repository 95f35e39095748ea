"""Text of strangers: names of encodings, and bytes in one of them."""

from typing import Final

from geo.errors import EncodingUnknown

_CODE_PAGES: Final = {
    "utf-8": "utf-8", "utf8": "utf-8", "65001": "utf-8",
    "gbk": "gb18030", "gb2312": "gb18030", "gb18030": "gb18030", "936": "gb18030", "cp936": "gb18030",
    "54936": "gb18030", "euc-cn": "gb18030", "big5": "big5", "950": "big5", "cp950": "big5",
    "iso-8859-1": "iso-8859-1", "iso88591": "iso-8859-1", "88591": "iso-8859-1", "iso8859-1": "iso-8859-1",
    "1252": "cp1252", "cp1252": "cp1252", "windows-1252": "cp1252", "ansi 1252": "cp1252",
    "ascii": "ascii", "us-ascii": "ascii", "utf-16": "utf-16",
}  # fmt: skip
_MARKS: Final = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def code_page(name: str, field: str) -> str:
    """The codec of an encoding as files and people spell it. Raises EncodingUnknown."""
    found = _CODE_PAGES.get(name.strip("\ufeff\x00 \r\n\t").lower())
    if found is None:
        raise EncodingUnknown(encoding=name.strip()[:32], row=0, field=field)
    return found


def marked(data: bytes) -> str | None:
    """The codec that a byte order mark names."""
    return next((codec for mark, codec in _MARKS.items() if data.startswith(mark)), None)


def decoded(data: bytes, codec: str, field: str) -> str:
    """All of it, or EncodingUnknown."""
    try:
        return data.decode(codec)
    except UnicodeDecodeError as error:
        raise EncodingUnknown(encoding=codec, row=0, field=field) from error
