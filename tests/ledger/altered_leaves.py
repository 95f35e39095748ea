"""Leaves that follow the log of the vectors, or do not: spelling, signatures, keys, the log itself."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from ledger.canonical import encode
from ledger.commitment import commit
from ledger.effects import (
    Effect,
    Transition,
)
from ledger.entry import Payload
from ledger.envelope import PAYLOAD_TYPE, decode_leaf, pae
from ledger.log_keys import endorse
from ledger.merkle import leaf_hash
from ledger.note import NoteSigner
from ledger.strict_base64 import to_base64
from tests.ledger.example_log import (
    BEGAN_MS,
    COMMITMENT_KEY,
    KEYS,
    LOG,
    LOG2,
    ORDER_L,
    ORIGIN,
    RECORD,
    Json,
    Story,
    act,
    key_of,
    leaf,
    own,
    paid,
    said,
    uuid,
)

# ---- alterations -------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Cases:
    """Leaves that follow the first `after` entries, or do not."""

    story: Story
    found: list[Json] = field(default_factory=list)

    def put(self, name: str, after: int, one: bytes, why: str, level: str = "replay") -> None:
        """`why` is empty for a leaf that is accepted."""
        verdict = {"verdict": "refuse", "level": level, "why": why} if why else {"verdict": "accept"}
        self.found.append({"name": name, "after": after, "leaf": one.decode("utf-8"), **verdict})

    def does(self, name: str, after: int, why: str, *effects: Effect, at_s: int = 59) -> None:
        """A well-signed act with these effects."""
        signer = "clerk2" if after > 9 else "clerk"
        self.put(name, after, leaf(BEGAN_MS + 1000 * at_s, act(900, *effects), signer), why)

    def text(self, name: str, why: str, change: Callable[[str], str]) -> None:
        """The payload of entry 5 as another text, signed as it is."""
        content = decode_leaf(self.story.leaves[5])[1].payload.decode("ascii")
        changed = change(content)
        assert changed != content, name
        self.put(name, 5, leaf(BEGAN_MS + 10_000, changed.encode("utf-8"), "clerk"), why)

    def spelled(self, name: str, why: str, old: str, new: str) -> None:
        """The leaf of entry 5 in another spelling."""
        text = self.story.leaves[5].decode("ascii")
        assert old in text, name
        self.put(name, 5, text.replace(old, new, 1).encode("utf-8"), why)


def leaf_cases(cases: Cases) -> None:
    text = cases.story.leaves[5].decode("ascii")
    sig = json.loads(text)["signatures"][0]["sig"]
    at = f'"at":{BEGAN_MS + 10_000}'
    cases.put("unchanged", 5, cases.story.leaves[5], "")
    cases.spelled("spare base64 bit", "base64 has one spelling", sig, f"{sig[:-3]}{chr(ord(sig[-3]) + 1)}==")
    cases.spelled("base64 without padding", "base64 has one spelling", sig, sig[:-2])
    cases.spelled(
        "space in the leaf", "another spelling of the same value", '","signatures"', '", "signatures"'
    )
    cases.spelled("duplicate key in the leaf", "a key stands once", at, f"{at},{at}")
    cases.spelled("another field in the leaf", "exactly four fields", at, f'"a":1,{at}')
    cases.spelled("time as a float", "whole numbers only", at, f"{at}.0")
    cases.spelled("line feed after the leaf", "nothing follows the object", "}]}", "}]}\n")
    value = json.loads(text)
    order = {key: value[key] for key in ("payload", "at", "payloadType", "signatures")}
    swapped = json.dumps(order, separators=(",", ":"))
    cases.put("key order in the leaf", 5, swapped.encode(), "keys are sorted")
    cases.spelled("another payload type", "the type is signed and fixed", "entry.v1", "entry.v2")
    none = value | {"signatures": []}
    cases.put("no signature", 5, encode(none), "a leaf has at least one signature")
    twice = value | {"signatures": value["signatures"] * 2}
    cases.put("one key signs twice", 5, encode(twice), "signatures are sorted, one for each key")
    rotated = json.loads(cases.story.leaves[9])
    turned = rotated | {"signatures": rotated["signatures"][::-1]}
    cases.put("signatures not sorted", 9, encode(turned), "signatures are sorted by key id")


def payload_cases(cases: Cases) -> None:
    why = "canonical JSON has one spelling"
    cases.text("duplicate key in the payload", why, lambda t: t.replace('"v":1', '"v":1,"v":1'))
    cases.text(
        "key order in the payload", why, lambda t: t.replace('"type":"act","v":1', '"v":1,"type":"act"')
    )
    cases.text("escape that is not needed", why, lambda t: t.replace('"act"', '"\\u0061ct"'))
    cases.text("float", "whole numbers only", lambda t: t.replace(":10000,", ":10000.0,"))
    cases.text("exponent", "whole numbers only", lambda t: t.replace(":10000,", ":1e4,"))
    cases.text("2^53", "at most 2^53 - 1", lambda t: t.replace('"facts":{}', f'"facts":{{"n":{2**53}}}'))
    cases.text("minus zero", why, lambda t: t.replace('"facts":{}', '"facts":{"n":-0}'))
    cases.text("2^53 - 1", "", lambda t: t.replace('"facts":{}', f'"facts":{{"n":{2**53 - 1}}}'))
    named = '"facts":{"n":"竹"}'
    cases.text("fact beyond ASCII", "facts are printable ASCII", lambda t: t.replace('"facts":{}', named))
    cases.text("another field", "exactly fifteen fields", lambda t: t.replace('"v":1', '"v":1,"w":1'))
    cases.text("version 2", "v is 1", lambda t: t.replace('"v":1', '"v":2'))
    cases.text("version true", "v is the number 1", lambda t: t.replace('"v":1', '"v":true'))
    cases.text("unknown type", "eleven types are known", lambda t: t.replace('"type":"act"', '"type":"acts"'))
    cases.text("upper-case id", "a lower-case UUID", lambda t: t.replace(uuid(5), uuid(5)[:-1] + "A"))
    cases.text(
        "empty name",
        "a name has 1 to 200 characters",
        lambda t: t.replace('"bank","subject"', '"","subject"'),
    )
    cases.text("unknown effect", "ten effects are known", lambda t: t.replace('"block.open"', '"block.shut"'))
    cases.text(
        "effect with another field",
        "exactly its fields",
        lambda t: t.replace('"numbered":', '"n":1,"numbered":', 1),
    )
    cases.text(
        "id of an earlier entry", "a request id is in the log once", lambda t: t.replace(uuid(5), uuid(4))
    )


def signature_cases(cases: Cases) -> None:
    payload = act(900, paid("t-9", ("bank:CNY", -1), ("cash:org-1", 1)))
    at = BEGAN_MS + 59_000

    def signed(name: str, data: bytes, why: str) -> None:
        value: Json = {
            "at": at, "payload": to_base64(payload.to_bytes()), "payloadType": PAYLOAD_TYPE,
            "signatures": [{"keyid": KEYS["clerk"].keyid, "sig": to_base64(data)}],
        }  # fmt: skip
        cases.put(name, 6, encode(value), why)

    good = KEYS["clerk"].sign(pae(PAYLOAD_TYPE, payload.to_bytes()))
    s = int.from_bytes(good[32:], "little")
    signed("signature that verifies", good, "")
    signed("changed signature", good[:1] + bytes([good[1] ^ 1]) + good[2:], "it does not verify")
    signed("S plus L", good[:32] + (s + ORDER_L).to_bytes(32, "little"), "S is less than L")
    signed("payload signed without its type", KEYS["clerk"].sign(payload.to_bytes()), "the PAE is signed")
    cases.put("stranger", 6, leaf(at, payload, "stranger"), "the key is not registered")
    cases.put(
        "stranger beside the clerk", 6, leaf(at, payload, "clerk", "stranger"), "every signature counts"
    )
    cases.put("clerk before the key is added", 4, leaf(at, payload, "clerk"), "the key is not registered yet")
    cases.put("rotated key", 10, leaf(at, payload, "clerk"), "the key was ended by entry 9")
    late = replace(payload, subject="deposit-901")
    cases.put("revoked key", 15, leaf(at + 60_000, late, "clerk2"), "the key was ended by entry 14")
    cases.put("its successor", 10, leaf(at, payload, "clerk2"), "")


def key_cases(cases: Cases) -> None:
    at, root = BEGAN_MS + 90_000, "root"

    def adds(name: str, public: str, why: str, signer: str = root) -> None:
        key: Json = {"public": public, "person": "person-1", "custody": "client", "suite": "ed25519"}
        keyid = sha256(bytes.fromhex(public)).hexdigest()
        facts: Json = {"keys": [key]}
        said = own(900, root, "key", keyid, "add", "none", "active", type="key.add", facts=facts)
        cases.put(name, 6, leaf(at, said, signer), why)

    adds("key of order 1", "01" + "00" * 31, "a point of small order")
    adds("key with y >= p", "f0" + "ff" * 30 + "7f", "the encoding is not reduced")
    adds("key that is no point", "02" + "00" * 31, "not on the curve")
    adds("key in capitals", KEYS["stranger"].public_bytes.hex().upper(), "lower-case hexadecimal digits")
    adds("key added twice", KEYS["clerk"].public_bytes.hex(), "it is registered already")
    adds(
        "key that vouches for itself",
        KEYS["stranger"].public_bytes.hex(),
        "it counts from the next entry on",
        "stranger",
    )

    def enrols(
        name: str, why: str, keys: list[str], subject: str, person: str, level: str = "replay"
    ) -> None:
        facts: Json = {"keys": [key_of(key, person, "client") for key in keys]}
        said = own(
            900, root, "key", KEYS[subject].keyid, "add", "none", "active", type="key.add", facts=facts
        )
        cases.put(name, 6, leaf(at, said, root), why, level)

    enrols("key added", "", ["stranger"], "stranger", "person-1")
    enrols("key added under another id", "the subject is its id", ["stranger"], "log", "person-1")
    enrols("two keys added at once", "one entry, one key", ["stranger", "log"], "stranger", "person-1")
    enrols("key for nobody", "person-9 is not registered", ["stranger"], "stranger", "person-9", "authority")
    rotation = decode_leaf(cases.story.leaves[9])[1].payload
    cases.put("rotation by the old key alone", 9, leaf(at, rotation, "clerk"), "both keys sign")

    def ends(name: str, why: str, after: int = 6, signer: str = "clerk", **changed: Any) -> None:
        revoke = Payload(
            "key.revoke", uuid(900), "person-1", "bank", "mandate-1", "key", KEYS["clerk"].keyid, "revoke",
            "active", "revoked", reason_code="lost", facts={"suspect_from": None},
        )  # fmt: skip
        cases.put(name, after, leaf(at, replace(revoke, **changed), signer), why)

    ends("own key revoked with itself", "")
    ends("revocation for no known reason", "one of four reasons", reason_code="other")
    ends("suspect though not compromised", "only a compromise is suspect", facts={"suspect_from": 5})
    ends(
        "suspect from an entry to come",
        "what is suspect came before",
        reason_code="compromised",
        facts={"suspect_from": 7},
    )
    ends("rotated key revoked", "it was ended before", 10, "clerk2", before="rotated")
    ends("act that ends a key", "only its own type takes a step of a key", type="act")


def log_cases(cases: Cases) -> None:
    at = BEGAN_MS + 90_000

    def log(
        name: str, why: str, after: int, type_: str, action: str, ends: str, signer: str, **facts: Any
    ) -> None:
        said = own(900, signer, "log", ORIGIN, action, "open", ends, type=type_, facts=facts)
        cases.put(name, after, leaf(at, said, signer), why)

    other = NoteSigner("vectors.example/next", KEYS["stranger"])
    stranger = NoteSigner(ORIGIN, KEYS["stranger"])
    key = ("log.key", "add_key", "open", "root")
    log(
        "log key endorsed by itself",
        "a key in force endorses",
        10,
        *key,
        vkey=LOG2.vkey,
        endorsement=endorse(LOG2.verifier, LOG2),
    )
    log(
        "log key endorsed by an ended one",
        "a key in force endorses",
        13,
        *key,
        vkey=stranger.vkey,
        endorsement=endorse(stranger.verifier, LOG),
    )
    log(
        "log key of another name",
        "its name is the origin",
        10,
        *key,
        vkey=other.vkey,
        endorsement=endorse(other.verifier, LOG),
    )
    log(
        "log key added again",
        "the log has it already",
        13,
        *key,
        vkey=LOG.vkey,
        endorsement=endorse(LOG.verifier, LOG2),
    )
    log(
        "the only log key ended",
        "one stays in force",
        10,
        "log.key",
        "end_key",
        "open",
        "root",
        vkey=LOG.vkey,
    )
    log("log closed", "", 14, "log.next", "close", "closed", "root", origin=other.name, vkey=other.vkey)
    log(
        "successor of the same name",
        "a name of its own",
        14,
        "log.next",
        "close",
        "closed",
        "root",
        origin=ORIGIN,
        vkey=stranger.vkey,
    )
    facts = cases.story.states[13][0]
    stated = ("state", "state", "open", "system")
    log("state of another size", "size is its own index", 13, *stated, **facts | {"size": 12})
    log(
        "state with another digest",
        "replay comes to another one",
        13,
        *stated,
        **facts | {"sha256": "00" * 32},
    )
    log("state said too early", "the reservation is still open", 11, *stated, **facts | {"size": 11})
    log("state with another count", "replay comes to another one", 13, *stated, **facts | {"blocks": 9})
    again = replace(next(said())[1], id=uuid(900))
    cases.put("second genesis", 5, leaf(at, again, "root"), "genesis is the first entry and no other")
    first = act(0, paid("t-9", ("bank:CNY", -1), ("cash:org-1", 1)))
    cases.put("act as the first entry", 0, leaf(at, first, "clerk"), "genesis is the first entry")
    early = act(900, paid("t-9", ("bank:CNY", -1), ("cash:org-1", 1)))
    cases.put("time that falls", 6, leaf(BEGAN_MS + 9_999, early, "clerk"), "at never falls")
    taken = replace(early, subject="deposit-5")
    cases.put("subject in another state", 6, leaf(at, taken, "clerk"), "deposit-5 is recorded, not none")


def remark_cases(cases: Cases) -> None:
    at = BEGAN_MS + 90_000
    named: Json = {"index": 5, "leaf": leaf_hash(cases.story.leaves[5]).hex()}
    wrong = named | {"leaf": leaf_hash(cases.story.leaves[4]).hex()}

    def remark(name: str, why: str, subject: str, facts: Json) -> None:
        said = own(
            900, "root", "entry", subject, "annotate", "logged", "logged", type="annotation", facts=facts
        )
        cases.put(name, 14, leaf(at, said, "root"), why)

    remark("remark on another leaf hash", "it is not the hash of entry 5", "5", wrong)
    remark("remark on an entry to come", "the entry came before", "14", named | {"index": 14})
    remark("remark under another subject", "the subject is the index", "6", named)
    said = act(900, paid("t-9", ("bank:CNY", -1), ("cash:org-1", 1)), facts={"corrects": wrong})
    cases.put(
        "correction of another leaf hash",
        14,
        leaf(at, replace(said, type="correct"), "clerk2"),
        "it is not the hash of entry 5",
    )
    good = replace(said, type="correct", facts={"corrects": named})
    cases.put("correction", 14, leaf(at, good, "clerk2"), "")

    def erased(
        name: str, why: str, index: int, commitment: str, subject: str = "", level: str = "replay"
    ) -> None:
        facts: Json = {"commitment": commitment, "index": index}
        said = own(
            900, "root", "record", subject or commitment, "erase", "kept", "erased", type="erase", facts=facts
        )
        cases.put(name, 14, leaf(at, said, "root"), why, level)

    digest = commit(COMMITMENT_KEY, RECORD)
    erased("erasure named by an entry to come", "the entry came before", 14, digest)
    erased("erasure under another subject", "the subject is the commitment", 2, digest, "00" * 32)
    erased("erasure named by another entry", "entry 3 has no such commitment", 3, digest)
    erased("erasure of what nobody committed to", "entry 2 has another commitment", 2, "00" * 32)
    erased("erasure by the root alone", "two persons of the registry", 2, digest, level="authority")


def authority_cases(cases: Cases) -> None:
    """Leaves that follow from the log, by somebody who may not, or in a step that no machine has."""
    at = BEGAN_MS + 90_000
    good = act(900, paid("t-9", ("bank:CNY", -1), ("cash:org-1", 1)))

    def by(name: str, why: str, signer: str = "clerk2", **changed: Any) -> None:
        cases.put(name, 14, leaf(at, replace(good, **changed), signer), why, "authority")

    by("act by the bank", "")
    by("step that its machine does not have", "deposit has no such step", after="settled")
    by(
        "subject that begins elsewhere",
        "deposits begin at none",
        action="reverse",
        before="recorded",
        after="reversed",
    )
    by("machine that is not known", "no such machine", machine="wish")
    by("role that the mandate does not give", "mandate-1 is of a bank", role="operator")
    by("mandate that nobody was given", "no such mandate", mandate="mandate-9")
    by("signed by another person", "the initiator signs", "root")
    by(
        "person under somebody else's mandate",
        "root is not the clerk's",
        by="person-1",
        role="root",
        mandate="root",
    )
    register: Json = {
        "machine": "person",
        "subject": "person-9",
        "action": "register",
        "after": "registered",
        "effects": (),
    }
    by("enrolment by a bank", "the root, or two persons of the registry", **register)
    ended = Transition("mandate", "mandate-1", "end", "active", "ended")
    by("step that the signer may not cause", "the root, or two persons of the registry", effects=(ended,))
    bank = own(900, "root", "organisation", "org-9", "register", "none", "registered", facts={"kind": "bank"})
    enrolled = Transition("person", "person-9", "register", "none", "registered")
    joined = Transition("organisation", "org-8", "register", "none", "registered")
    granted = Transition("mandate", "mandate-9", "grant", "none", "active")
    for name, effect in (("ends", ended), ("begins", granted)):
        said = replace(bank, effects=(effect,))
        why = "mandates begin and end by an entry's own step"
        cases.put(f"mandate that {name} beside another step", 14, leaf(at, said, "root"), why, "authority")
    for name, effect in (("person", enrolled), ("organisation", joined)):
        said = replace(bank, effects=(effect,))
        why = "members are registered by an entry's own step"
        cases.put(f"{name} enrolled beside another step", 14, leaf(at, said, "root"), why, "authority")
