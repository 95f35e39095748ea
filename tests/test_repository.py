"""What lies in git: a lock that names no place, nothing bulky, nothing that belongs to one machine."""

import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

CHECKOUT: Final = Path(__file__).resolve().parent.parent
LARGEST_BYTES: Final = 300_000
REQUIREMENT: Final = re.compile(r"^([a-z0-9][a-z0-9._-]*)==([^\s;]+)", re.IGNORECASE)
ADDRESS: Final = re.compile(r"(?:https?|file|ssh|git\+\w+)://")

# Folders of people's machines, and hosts of packages; written apart, so that this file does not match.
FORBIDDEN: Final = (
    *(rf"(?<![\w.~/-])/{top}/[\w.-]" for top in ("root", "home", "opt", "mnt", "Users", "work", "tmp")),
    *(re.escape(host) for host in ("pypi." + "org", "pythonhosted." + "org", "registry.npmjs." + "org")),
    *(
        re.escape(host)
        for host in ("npmmirror." + "com", "tuna.tsinghua." + "edu.cn", "mirrors." + "aliyun.com")
    ),
)


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    """The files of the checkout that git keeps, or is about to."""
    if not (CHECKOUT / ".git").exists():
        pytest.skip("NOT TESTED HERE: this is not a git checkout")
    listing = subprocess.run(
        ["git", "-c", f"safe.directory={CHECKOUT}", "ls-files", "-z"],
        cwd=CHECKOUT,
        capture_output=True,
        check=True,
    )
    paths = [CHECKOUT / name for name in listing.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file()]


def requirements(text: str) -> Iterator[str]:
    """The requirements of a lock, each with its continuation lines as one line."""
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            yield line


def test_each_requirement_of_the_lock_is_pinned_and_has_hashes() -> None:
    lines = list(requirements((CHECKOUT / "requirements.lock").read_text(encoding="utf-8")))
    assert len(lines) > 50
    for line in lines:
        assert REQUIREMENT.match(line), f"not pinned: {line}"
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", line), f"no hash: {line[:80]}"


def test_the_lock_names_no_address_and_no_option() -> None:
    text = (CHECKOUT / "requirements.lock").read_text(encoding="utf-8")
    assert not ADDRESS.search(text)
    assert not [line for line in text.splitlines() if line.startswith("-")]


def test_the_lock_holds_all_that_the_project_asks_for() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = project["dependencies"] + project["optional-dependencies"]["dev"]
    text = (CHECKOUT / "requirements.lock").read_text(encoding="utf-8")
    locked = {plain(match[1]) for line in requirements(text) if (match := REQUIREMENT.match(line))}
    assert {plain(re.split(r"[\[<>=!~; ]", name, maxsplit=1)[0]) for name in asked} <= locked


def plain(name: str) -> str:
    """The normal form of a distribution's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_browser_lock_names_no_address_from_which_a_package_came() -> None:
    text = (CHECKOUT / "web" / "package-lock.json").read_text(encoding="utf-8")
    assert not ADDRESS.search(text)
    lock: dict[str, Any] = json.loads(text)
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert packages
    assert not [name for name, entry in packages.items() if "resolved" in entry]
    assert not [name for name, entry in packages.items() if "integrity" not in entry]


def test_no_file_is_large(tracked: list[Path]) -> None:
    large = {str(path.relative_to(CHECKOUT)): path.stat().st_size for path in tracked}
    assert {name: size for name, size in large.items() if size > LARGEST_BYTES} == {}


def test_nothing_built_is_kept(tracked: list[Path]) -> None:
    names = {path.relative_to(CHECKOUT).as_posix() for path in tracked}
    built = ("registry/web/static/", "registry/documents/fonts/", "web/node_modules/", ".venv/", "uv.lock")
    assert not [name for name in names if name.startswith(built)]


def test_no_file_names_a_folder_of_a_machine_or_a_package_host(tracked: list[Path]) -> None:
    pattern = re.compile("|".join(FORBIDDEN))
    found: list[str] = []
    for path in tracked:
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture
        for number, line in enumerate(text.splitlines(), 1):
            if pattern.search(line):
                found.append(f"{path.relative_to(CHECKOUT)}:{number}: {line.strip()[:120]}")
    assert found == []
