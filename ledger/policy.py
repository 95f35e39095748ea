"""Trust policies (c2sp.org/tlog-policy): which logs, which witnesses, and how many a checkpoint needs.

    log <vkey> [<url>]
    witness <name> <vkey> [<url>]
    group <name> all|any|<k> <name>...
    quorum <name>|none

Names are opaque; they mean something inside the file only. A witness outside the quorum is known but not
needed: a line to keep for one that left, since older proofs bear its signature.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Final

from ledger.errors import LedgerRefusal
from ledger.note import LOG_KINDS, WITNESS_KINDS, KeyKind, NoteVerifier, parse_note, verified_signers

MAX_POLICY_BYTES: Final = 1_000_000
MAX_LINES_OF_A_KIND: Final = 1_000
NONE: Final = "none"


class MalformedPolicy(LedgerRefusal):
    """A policy file that the specification does not allow."""

    code: ClassVar[str] = "policy_malformed"
    template: ClassVar[str] = "Line {line} of the witness policy is not acceptable: {reason}."


class QuorumMissing(LedgerRefusal):
    """Too few of the policy's witnesses signed."""

    code: ClassVar[str] = "quorum_missing"
    template: ClassVar[str] = (
        "The checkpoint does not have the cosignatures that the policy asks for; of its witnesses signed: "
        "{signed}."
    )


class LogNotInPolicy(LedgerRefusal):
    """The policy lists logs, and this one is not among them."""

    code: ClassVar[str] = "log_not_in_policy"
    template: ClassVar[str] = "The policy does not list the log key {vkey}."


@dataclass(frozen=True, slots=True)
class KnownLog:
    verifier: NoteVerifier
    url: str | None = None


@dataclass(frozen=True, slots=True)
class KnownWitness:
    """A witness under its name in the policy; `url` is its submission prefix."""

    name: str
    verifier: NoteVerifier
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Members of which at least `threshold` must have witnessed."""

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy that was read. `quorum` names a witness, a group, or `none`."""

    logs: tuple[KnownLog, ...]
    witnesses: Mapping[str, KnownWitness]
    groups: Mapping[str, Group]
    quorum: str

    @classmethod
    def parse(cls, data: bytes) -> "Policy":
        """The policy that a file spells. Raises `MalformedPolicy`."""
        return _Reader().read(data)

    def satisfied(self, signed: Collection[str]) -> bool:
        """Whether witnesses with these names of the policy are a quorum."""
        return self.quorum == NONE or self._witnessed(self.quorum, signed)

    def _witnessed(self, name: str, signed: Collection[str]) -> bool:
        group = self.groups.get(name)
        if group is None:
            return name in signed
        return sum(self._witnessed(member, signed) for member in group.members) >= group.threshold

    def cosigned_by(self, note: bytes) -> list[str]:
        """The names of the policy's witnesses that signed a note.

        Lines by keys that the policy does not list are not looked at. Raises `MalformedNote`, and
        `SignatureRefused` when a listed witness's line does not verify.
        """
        opened = parse_note(note)
        names = {witness.verifier: name for name, witness in self.witnesses.items()}
        lines = {(line.name, line.key_id) for line in opened.signatures}
        known = [verifier for verifier in names if (verifier.name, verifier.key_id) in lines]
        return [names[verifier] for verifier in verified_signers(opened, known)] if known else []

    def require(self, note: bytes) -> None:
        """Check that a note bears the quorum's cosignatures.

        Raises `QuorumMissing`, and as `cosigned_by`. Whose log it is, is `require_log` and `open_checkpoint`.
        """
        signed = self.cosigned_by(note)
        if not self.satisfied(signed):
            raise QuorumMissing(signed=", ".join(signed) or "nobody")

    def lists(self, verifier: NoteVerifier) -> bool:
        """Whether this log may be judged by the policy: one that lists no logs is for every log."""
        return not self.logs or any(log.verifier == verifier for log in self.logs)

    def require_log(self, *verifiers: NoteVerifier) -> None:
        """`LogNotInPolicy` when the policy lists logs, and this one by none of its keys."""
        if not any(map(self.lists, verifiers)):
            raise LogNotInPolicy(vkey=verifiers[-1].vkey)


def read_policy(path: Path) -> Policy | None:
    """The policy in a file; None where there is no file. Raises `MalformedPolicy`, `OSError`."""
    try:
        with path.open("rb") as file:
            return Policy.parse(file.read(MAX_POLICY_BYTES + 1))
    except FileNotFoundError:
        return None


@dataclass(slots=True)
class _Reader:
    """One pass over the lines; every name is defined before it is used."""

    logs: list[KnownLog] = field(default_factory=list)
    witnesses: dict[str, KnownWitness] = field(default_factory=dict)
    groups: dict[str, Group] = field(default_factory=dict)
    members: set[str] = field(default_factory=set)
    quorum: str | None = None
    line: int = 0

    def read(self, data: bytes) -> Policy:
        if len(data) > MAX_POLICY_BYTES:
            raise self._wrong(f"the file has more than {MAX_POLICY_BYTES:,} bytes")
        if data and not data.endswith(b"\n"):
            raise self._wrong("the last line does not end with a newline")
        for line in data.split(b"\n")[:-1]:
            self.line += 1
            self._read_line(line)
        if self.quorum is None:
            raise self._wrong("there is no quorum line")
        return Policy(
            tuple(self.logs), MappingProxyType(self.witnesses), MappingProxyType(self.groups), self.quorum
        )

    def _read_line(self, line: bytes) -> None:
        if any((byte < 0x20 and byte != 0x09) or byte == 0x7F for byte in line):
            raise self._wrong("a control character")
        words = [word.decode("utf-8", "surrogateescape") for word in line.replace(b"\t", b" ").split(b" ")]
        words = [word for word in words if word]
        if not words or words[0].startswith("#"):
            return
        known: dict[str, Callable[[list[str]], None]] = {
            "log": self._log,
            "witness": self._witness,
            "group": self._group,
            "quorum": self._quorum,
        }
        if words[0] not in known:
            raise self._wrong("log, witness, group or quorum is expected")
        known[words[0]](words[1:])

    def _log(self, words: list[str]) -> None:
        if not 1 <= len(words) <= 2:
            raise self._wrong("a log has a verifier key and perhaps an address")
        verifier = self._key(words[0], LOG_KINDS, (log.verifier for log in self.logs))
        self.logs.append(KnownLog(verifier, *words[1:]))
        self._few(self.logs)

    def _witness(self, words: list[str]) -> None:
        if not 2 <= len(words) <= 3:
            raise self._wrong("a witness has a name, a verifier key and perhaps an address")
        name = self._new_name(words[0])
        verifier = self._key(words[1], WITNESS_KINDS, (known.verifier for known in self.witnesses.values()))
        self.witnesses[name] = KnownWitness(name, verifier, *words[2:])
        self._few(self.witnesses)

    def _group(self, words: list[str]) -> None:
        if len(words) < 3:
            raise self._wrong("a group has a name, all, any or a number, and members")
        name, members = self._new_name(words[0]), words[2:]
        for member in members:
            self._defined(member)
            if member in self.members:
                raise self._wrong(f"{member} is a member already")
            self.members.add(member)
        self.groups[name] = Group(self._threshold(words[1], len(members)), tuple(members))
        self._few(self.groups)

    def _quorum(self, words: list[str]) -> None:
        if len(words) != 1 or self.quorum is not None:
            raise self._wrong("there is one quorum line, with one name")
        if words[0] != NONE:
            self._defined(words[0])
        self.quorum = words[0]

    def _threshold(self, word: str, count: int) -> int:
        if word in ("any", "all"):
            return 1 if word == "any" else count
        if not (word.isascii() and word.isdecimal()) or len(word) > 4 or str(int(word)) != word:
            raise self._wrong("all, any or a number is expected")
        if not 1 <= int(word) <= count:
            raise self._wrong(f"{word} of {count} members")
        return int(word)

    def _key(self, vkey: str, kinds: Collection[KeyKind], others: Iterable[NoteVerifier]) -> NoteVerifier:
        try:
            verifier = NoteVerifier.parse(vkey)
        except LedgerRefusal as refusal:
            raise self._wrong(str(refusal).removesuffix(".")) from refusal
        if verifier.kind not in kinds:
            raise self._wrong(f"a key of signature type {verifier.kind:#04x} does not belong here")
        if any(other.public_key == verifier.public_key for other in others):
            raise self._wrong("the same public key stands on an earlier line")
        return verifier

    def _new_name(self, name: str) -> str:
        if name == NONE or name in self.witnesses or name in self.groups:
            raise self._wrong(f"the name {name} is taken")
        return name

    def _defined(self, name: str) -> None:
        if name not in self.witnesses and name not in self.groups:
            raise self._wrong(f"no line before defines {name}")

    def _few(self, lines: Collection[object]) -> None:
        if len(lines) > MAX_LINES_OF_A_KIND:
            raise self._wrong(f"more than {MAX_LINES_OF_A_KIND} lines of a kind")

    def _wrong(self, reason: str) -> MalformedPolicy:
        return MalformedPolicy(line=self.line, reason=reason)
