"""Words in a file that speak of its datum. They decide nothing; they are evidence for whoever judges it."""

import re
from collections.abc import Iterable
from typing import Final

_WORDS: Final = re.compile(
    r"gcj[-_ ]?02|bd[-_ ]?09|火星坐标|amap|autonavi|gaode|高德|baidu|百度|tencent|腾讯",
    re.IGNORECASE,
)
_CHARACTERS: Final = 1 << 20


def datum_hints(texts: Iterable[str]) -> tuple[str, ...]:
    """The words found, each once, in one spelling (`gcj02`, `bd09`, `amap`, `高德` ...), sorted."""
    text = "\n".join(texts)[:_CHARACTERS]
    return tuple(sorted({re.sub(r"[-_ ]", "", word.lower()) for word in _WORDS.findall(text)}))
