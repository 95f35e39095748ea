"""The system calls by which a process changes files, as strace saw them, in the order of their return."""

import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.reliability.nursery import Child

CHANGING: Final = (
    "openat,write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,ftruncate,mkdir,rmdir,"
    "writev,pwritev,pwritev2,truncate,fallocate,link,linkat,symlink,copy_file_range,sendfile"
)
ATTACH_SECONDS: Final = 20
_LINE: Final = re.compile(r"(?P<thread>\d+)\s+(?P<rest>.*)")
_RESUMED: Final = re.compile(r"<\.\.\. \w+ resumed>(?P<rest>.*)")
_CALL: Final = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\)\s+= (?P<result>-?\d+).*")
_TEXT: Final = re.compile(
    r'(?P<fd>\d+|AT_FDCWD)<(?P<path>[^>]*)>|"(?P<text>[^"]*)"(?P<cut>\.\.\.)?|(?P<word>\w[^,]*)'
)


@dataclass(frozen=True, slots=True)
class Call:
    """One call that succeeded: its name, the paths and bytes it names, and its numbers, in their order."""

    name: str
    fd: int | None
    path: str
    texts: tuple[bytes, ...]
    words: tuple[str, ...]
    result: int


def read_calls(trace: Path) -> Iterator[Call]:
    """The calls of a trace. A call that another thread's cut in two counts when it returned."""
    begun: dict[str, str] = {}
    for line in trace.read_text().splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            continue
        thread, rest = match["thread"], match["rest"]
        if rest.endswith("<unfinished ...>"):
            begun[thread] = rest.removesuffix("<unfinished ...>").rstrip()
            continue
        if (resumed := _RESUMED.fullmatch(rest)) is not None:
            rest = begun.pop(thread) + resumed["rest"]
        call = _parse(rest)
        if call is not None and call.result >= 0:
            yield call


def _parse(text: str) -> Call | None:
    match = _CALL.fullmatch(text)
    if match is None:
        return None
    fd, path, texts, words = None, "", [], []
    for part in _TEXT.finditer(match["arguments"]):
        if part["path"] is not None:
            path = _bytes(part["path"]).decode()
            fd = int(part["fd"]) if part["fd"].isdigit() else None
        elif part["text"] is not None:
            assert not part["cut"], "strace was not given room for everything"
            texts.append(_bytes(part["text"]))
        else:
            words.append(part["word"])
    return Call(match["name"], fd, path, tuple(texts), tuple(words), int(match["result"]))


def _bytes(spelled: str) -> bytes:
    return bytes.fromhex(spelled.replace("\\x", ""))


class Tracer:
    """strace on every thread of a process that runs already."""

    def __init__(self, strace: str, pid: int, said: Path, *options: str) -> None:
        self._said = said
        line = [strace, "-f", "-p", str(pid), *options]
        with self._said.open("wb") as sink:
            self._process = subprocess.Popen(line, stderr=sink, stdout=sink, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + ATTACH_SECONDS
        while "attached" not in self._said.read_text():
            assert time.monotonic() < deadline and self._process.poll() is None, self._said.read_text()
            time.sleep(0.005)

    def wait(self) -> None:
        self._process.wait(120)


def record(strace: str, child: Child, trace: Path) -> list[Call]:
    """Let the child go, and answer every call by which it changed files."""
    options = ("-y", "-xx", "-s", "16777216", "-e", f"trace={CHANGING}", "-o", str(trace))
    tracer = Tracer(strace, child.pid, child.said.with_suffix(".strace"), *options)
    child.release()
    assert child.wait() == 0, child.complaint()
    tracer.wait()
    return list(read_calls(trace))
