"""The one table from refusals to HTTP, the two languages, and faults of ours."""

import importlib
import logging
import pkgutil
import re
import string
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest
import uvicorn
from babel.messages.pofile import read_po
from jinja2 import Environment, nodes

import geo
import ledger
import registry
from geo.errors import GeometryInvalid, GeoRefusal
from ledger.errors import LedgerRefusal
from ledger.log import LogCorrupt
from registry.app import create_app, unrouted
from registry.catalogue import MACHINES
from registry.errors import RegistryRefusal
from registry.installation import Installation
from registry.issuance.rules import AlreadyIssued
from registry.language import CATALOGUES, Language, chosen, filled, sentence, translate, translations
from registry.machine import Role
from registry.problem import STATUS, status_of
from registry.transparency.overview import STATES
from registry.web.pages import TEMPLATES

ROOTS = (RegistryRefusal, LedgerRefusal, GeoRefusal)
COMMAND_LINE_ONLY = ("registry.demo", "ledger.client")
"""Refusals that never meet HTTP."""


def every_refusal() -> list[type[Exception]]:
    for package in (registry, ledger, geo):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)

    def below(kind: type[Exception]) -> Iterator[type[Exception]]:
        for one in kind.__subclasses__():
            yield one
            yield from below(one)

    own = ("registry.", "ledger.", "geo.")
    return [one for root in ROOTS for one in below(root) if one.__module__.startswith(own)]


REFUSALS = every_refusal()


def fields(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def catalogue() -> dict[str, str]:
    with (CATALOGUES / "zh_CN.po").open("rb") as file:
        found = read_po(file, locale="zh_CN", abort_invalid=True)
    return {str(message.id): str(message.string) for message in found if message.id and not message.context}


CHINESE = catalogue()


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda one: one.__name__)
def test_every_refusal_has_a_status_and_a_sentence_in_both_languages(refusal: type[RegistryRefusal]) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", refusal.code)
    assert CHINESE.get(refusal.template), f"no Chinese for: {refusal.template}"
    assert fields(CHINESE[refusal.template]) == fields(refusal.template)
    if not refusal.__module__.startswith(COMMAND_LINE_ONLY):
        assert status_of(refusal) is not None, f"{refusal.__name__} has no status"


def test_codes_within_a_chinese_sentence_are_chinese() -> None:
    sources = [path.read_text(encoding="utf-8") for path in Path(registry.__file__).parent.rglob("*.py")]
    kinds = {kind for text in sources for kind in re.findall(r'NotFound\(kind="([^"]+)"', text)}
    assert len(kinds) > 30
    pgettext = translations(Language.CHINESE).pgettext
    assert {kind for kind in kinds if pgettext("kind", kind) == kind} == set()
    faults = {"lon": 118.005, "lat": 29.005, "reason": "Self-intersection"}
    assert "自相交" in filled(GeometryInvalid.template, faults, Language.CHINESE)
    facts = {"parcel": "p", "status": "eligible", "needed": "one"}
    said = filled("{status}, {parcel}", facts, Language.CHINESE)
    assert filled("{role}", {"role": "operator"}, Language.CHINESE) == "运营公司"
    assert said == "合格, p" and filled("{status}, {parcel}", facts, Language.ENGLISH) == "eligible, p"


def test_no_two_refusals_have_one_code() -> None:
    by_code: dict[str, list[str]] = defaultdict(list)
    for refusal in REFUSALS:
        by_code[refusal.code].append(refusal.__qualname__)  # type: ignore[attr-defined]
    assert {code: names for code, names in by_code.items() if len(names) > 1} == {}


def test_every_status_has_its_words() -> None:
    for status in set(STATUS.values()):
        assert translate(status.phrase, Language.CHINESE) != status.phrase
        assert 400 <= status.value < 600


def test_every_sentence_of_the_pages_is_translated() -> None:
    said = set()
    environment = Environment(extensions=["jinja2.ext.i18n"])
    for path in Path(TEMPLATES).glob("*.html"):
        for call in environment.parse(path.read_text(encoding="utf-8")).find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "_" and call.args:
                text = call.args[0]
                assert isinstance(text, nodes.Const)
                said.add(text.value)
    assert len(said) > 30
    assert {text for text in said if text not in CHINESE} == set()
    for text in said:
        placed = re.findall(r"%\((\w+)\)s", text)
        assert sorted(re.findall(r"%\((\w+)\)s", CHINESE[text])) == sorted(placed)


def test_every_word_of_the_log_is_translated() -> None:
    words = {("machine", name) for name in MACHINES} | {("role", role.value) for role in Role}
    words |= {("unit state", state) for state in STATES}
    for machine in MACHINES.values():
        words |= {("action", action) for _, action in machine.steps}
        words |= {("state", state) for state in machine.states}
    chinese = translations(Language.CHINESE)
    assert {word for word in words if chinese.pgettext(*word) == word[1]} == set()


def test_a_sentence_carries_its_facts() -> None:
    refusal = AlreadyIssued(period="P-1")
    assert sentence(refusal, Language.ENGLISH) == str(refusal)
    assert "P-1" in sentence(refusal, Language.CHINESE) != str(refusal)
    assert filled("{a} and {b}", {"a": "{b}"}, Language.ENGLISH) == "{b} and …"


def test_english_needs_to_be_wanted() -> None:
    assert chosen(None, None) is Language.CHINESE
    assert chosen("", "en;q=0") is Language.CHINESE
    assert chosen(None, "en;q=0.1, zh;q=nonsense") is Language.ENGLISH


# ---- an application in this process --------------------------------------------------------------


@pytest.fixture
def client(installation: Installation) -> Iterator[httpx.Client]:
    """The application behind a socket, in a thread of this process, so that its parts can be broken."""
    server = uvicorn.Server(uvicorn.Config(create_app(installation), port=0, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        yield client
    server.should_exit = True
    thread.join()


def test_every_act_can_be_asked_for_over_http(installation: Installation) -> None:
    assert unrouted(create_app(installation)) == set()


def test_a_fault_of_ours_tells_a_reference_and_nothing_else(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr("registry.transparency.routes.summary", broken)
    with caplog.at_level(logging.ERROR, "tanhui.faults"):
        answer = client.get("/api/v1/public/summary", headers={"Accept-Language": "en"})
    body = answer.json()
    assert answer.status_code == HTTPStatus.INTERNAL_SERVER_ERROR
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(body["facts"]) == {"reference"} and body["code"] == "internal_fault"
    assert "secret" not in answer.text and "Zero" not in answer.text
    assert body["facts"]["reference"] in caplog.text and "a secret" in caplog.text


def test_a_stopped_writer_is_told_by_health_and_by_acts(
    client: httpx.Client, installation: Installation
) -> None:
    failure = LogCorrupt(reason="for the test")
    installation.writer._failure = failure
    try:
        assert client.get("/healthz").status_code == HTTPStatus.SERVICE_UNAVAILABLE
    finally:
        installation.writer._failure = None
    assert client.get("/healthz").status_code == HTTPStatus.OK


def test_an_empty_registry_has_a_page(client: httpx.Client) -> None:
    answer = client.get("/")
    assert answer.status_code == HTTPStatus.OK
    assert "还没有提交的地块" in answer.text and "还没有签发" in answer.text
    assert client.get("/map.svg").text.startswith("<svg")
