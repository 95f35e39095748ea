"""A run in one file: the same bytes twice, checked by a stranger, and every change in it named."""

import hashlib
import json
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ledger.canonical import encode
from ledger.tiles import TileDirectory
from registry.accounts.service import NotFound
from registry.estimates.bundles.reading import recompute_bundle, unpack
from registry.estimates.bundles.text import forest_said
from registry.estimates.bundles.writing import Contents, gather, write_bundle
from registry.estimates.inputs import RasterInput
from registry.estimates.recompute import Recomputed
from registry.estimates.rules import BundleOutlineErased, BundleRefused, RasterNotRedistributable
from registry.estimates.service import load_record, load_run
from registry.parcels.models import ParcelVersion
from tests.registry.forest import Forest, plots_text


@dataclass(frozen=True)
class Told:
    """A forest with a recorded run, and its bundle."""

    forest: Forest
    run: str
    bundle: Path
    folder: Path

    def gather(self, **options: Any) -> Contents:
        installation = self.forest.land.people.installation
        with installation.database.read() as session:
            return gather(
                session, installation.home, self.run, TileDirectory(installation.home.log), **options
            )

    def check(self, bundle: Path | None = None, **options: Any) -> Recomputed:
        """As a stranger does: an empty folder and the file."""
        with unpacked(self.folder) as into:
            return recompute_bundle(
                unpack(bundle or self.bundle, into, options.pop("rasters", None)), **options
            )

    def changed(self, name: str, change: Callable[[bytes], bytes]) -> Path:
        """The bundle with one member changed, packed again by any program."""
        target = self.folder / "changed.zip"
        with zipfile.ZipFile(self.bundle) as source, zipfile.ZipFile(target, "w") as packed:
            names = [one for one in source.namelist() if one.startswith(name)]
            assert names, name
            for member in source.namelist():
                content = source.read(member)
                packed.writestr(member, change(content) if member == names[0] else content)
        return target

    def names(self, found: Recomputed) -> set[str]:
        return {one.name for one in found.differences}


class unpacked:  # noqa: N801
    def __init__(self, folder: Path) -> None:
        self.path = folder / "unpacked"

    def __enter__(self) -> Path:
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir()
        return self.path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.path)


ONE = pytest.mark.parametrize("forest", ["sqlite"], indirect=True)
"""A bundle is the same whatever database it came from; what is done to it is told once."""


@pytest.fixture
def told(forest: Forest, tmp_path: Path) -> Told:
    run = str(forest.estimate(plots_text()).answer["run"])
    told = Told(forest, run, tmp_path / "run.zip", tmp_path)
    write_bundle(told.gather(), told.bundle)
    return told


def member(told: Told, name: str) -> bytes:
    with zipfile.ZipFile(told.bundle) as archive:
        return archive.read(name)


def test_a_bundle_holds_all_it_takes_and_its_sums_are_sha256sums(told: Told) -> None:
    with zipfile.ZipFile(told.bundle) as archive:
        names = archive.namelist()
        archive.extractall(told.folder / "all")
    assert names == sorted(names)
    done = subprocess.run(
        ["sha256sum", "--strict", "--quiet", "-c", "SHA256SUMS"], cwd=told.folder / "all", check=False
    )
    assert done.returncode == 0
    assert {"README.md", "record.json", "outlines.geojson", "method/METHOD.md", "log/entry"} <= set(names)
    index = json.loads(member(told, "bundle.json"))
    for one in index["files"]:
        assert hashlib.sha256(member(told, one["path"])).hexdigest() == one["sha256"]
    features = json.loads(member(told, "outlines.geojson"))["features"]
    assert [one["properties"]["number"] for one in features] == [1, 2, 3]
    assert b"sha256sum -c" in member(told, "README.md")


@ONE
def test_the_same_run_makes_the_same_bytes(told: Told) -> None:
    again = write_bundle(told.gather(), told.folder / "again.zip")
    assert again.read_bytes() == told.bundle.read_bytes()


def test_a_stranger_with_the_bundle_alone_gets_the_same_kilograms(told: Told) -> None:
    vkey = told.forest.land.people.installation.home.vkey.read_text().strip()
    found = told.check(vkey=vkey)
    assert found.differences == ()
    assert found.same
    with told.forest.land.people.installation.database.read() as session:
        assert found.kg == load_run(session, told.run).estimate_kg


def of_geometry(told: Told, number: int) -> str:
    record = json.loads(member(told, "record.json"))
    return str(record["inputs"]["parcels"][number - 1]["geometry_sha256"])


def of_raster(told: Told, name: str) -> str:
    record = json.loads(member(told, "record.json"))
    return str(next(one for one in record["inputs"]["rasters"] if one["name"] == name)["sha256"])


def flipped(content: bytes) -> bytes:
    return content[:-9] + bytes([content[-9] ^ 1]) + content[-8:]


def row_changed(content: bytes) -> bytes:
    document = json.loads(content)
    next(row for row in document["rows"] if row["code"] == "chinese_fir")["wood_density"] = "0.9"
    return encode(document)


def record_changed(part: str, name: str, value: Any) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        document = json.loads(content)
        document[part][name] = value
        return encode(document)

    return change


@ONE
def test_whatever_is_changed_is_named_exactly(told: Told) -> None:
    raster, outline = of_raster(told, "agb_end"), of_geometry(told, 2)
    table = "parameter_tables.stand_types.chinese_fir.wood_density"
    for name, change, named in (
        (f"rasters/{raster}", flipped, {"agb_end"}),
        (f"outlines/{outline}", flipped, {"parcels.2.geometry"}),
        ("plots/", lambda content: content.replace(b"98.0", b"97.0"), {"plots", "plots.P3"}),
        ("method/tables/stand_types.json", row_changed, {"method/tables/stand_types.json", table}),
        ("README.md", lambda content: content + b"!", {"README.md"}),
        ("log/entry", flipped, {"log"}),
    ):
        found = told.names(told.check(told.changed(name, change)))
        assert named <= found <= named | {name}, name


@ONE
def test_a_changed_field_of_the_record_is_named(told: Told) -> None:
    for part, name, value, named in (
        ("inputs", "leakage_kg", 7, {"inputs_sha256", "inputs.leakage_kg", "record.json"}),
        ("method", "code_version", "0", {"method.code_version", "record.json"}),
        ("results", "estimate_kg", 1, {"results.estimate_kg", "log.estimate_kg", "record.json"}),
    ):
        found = told.names(told.check(told.changed("record.json", record_changed(part, name, value))))
        assert named <= found
        assert "inputs.from_on" not in found


@ONE
def test_a_key_of_another_log_is_not_taken(told: Told) -> None:
    other = "tanhui.test/log+5f3a1f4c+AUYV0GJ/yJAdC9wLlQvTRiD4TSBrBXqUbJDBpxQxGxYt"
    assert "log" in told.names(told.check(vkey=other))


def members_of(told: Told) -> dict[str, bytes]:
    with zipfile.ZipFile(told.bundle) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def without_sums(members: dict[str, bytes], *names: str) -> dict[str, bytes]:
    """SHA256SUMS says nothing of members whose names begin so."""
    lines = members["SHA256SUMS"].splitlines(keepends=True)
    sums = b"".join(line for line in lines if not line[66:].decode().startswith(names))
    return {**members, "SHA256SUMS": sums}


@ONE
def test_who_asks_with_the_logs_key_is_told_when_the_log_was_taken_out(told: Told) -> None:
    vkey = told.forest.land.people.installation.home.vkey.read_text().strip()
    members = without_sums(members_of(told), "log/")
    stripped = packed(
        told.folder / "stripped.zip", {name: c for name, c in members.items() if not name.startswith("log/")}
    )
    assert told.names(told.check(stripped, vkey=vkey)) == {"log/entry"}
    assert told.check(stripped).same  # the command says that nobody vouches for it


@ONE
def test_a_bundle_under_the_name_of_another_run_is_named(told: Told) -> None:
    index = json.loads(member(told, "bundle.json"))
    changed = told.changed("bundle.json", lambda _: json.dumps({**index, "run": "another"}).encode())
    assert any(one.found == "run another" for one in told.check(changed).differences)


@ONE
def test_a_file_that_no_sum_is_given_of_and_an_outline_drawn_elsewhere_are_named(told: Told) -> None:
    document = json.loads(member(told, "outlines.geojson"))
    first, second = document["features"][:2]
    first["geometry"], second["geometry"] = second["geometry"], first["geometry"]
    members = without_sums(members_of(told), "outlines.geojson")
    target = packed(told.folder / "moved.zip", {**members, "outlines.geojson": json.dumps(document).encode()})
    named = told.names(told.check(target))
    assert named == {"outlines.geojson", "outlines.geojson.1", "outlines.geojson.2"}


def test_members_that_lie_over_each_other_are_counted_against_the_archive(tmp_path: Path) -> None:
    content = bytes(1 << 20)
    names = ["bundle.json", "record.json", "SHA256SUMS"] + [f"outlines/{n:064x}.wkb" for n in range(200)]
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr(names[0], content)
        for name in names[1:]:  # the directory alone says that there are more
            info = zipfile.ZipInfo(name)
            first = archive.infolist()[0]
            info.header_offset, info.CRC, info.compress_type = 0, first.CRC, first.compress_type
            info.file_size, info.compress_size = first.file_size, first.compress_size * 5
            archive.filelist.append(info)
    with pytest.raises(BundleRefused) as refused:
        unpack(tmp_path / "bomb.zip", tmp_path / "into")
    assert refused.value.facts["reason"] == "ratio"


def test_without_rasters_they_are_named_and_found_in_a_folder(told: Told) -> None:
    contents = told.gather(rasters=False)
    bundle = write_bundle(contents, told.folder / "small.zip")
    assert {one.licence for one in contents.left_out} == {"CC0-1.0"}
    with zipfile.ZipFile(bundle) as archive:
        assert not [name for name in archive.namelist() if name.startswith("rasters/")]
        assert b"CC0-1.0" in archive.read("README.md")
    without = told.check(bundle)
    assert without.kg is None
    assert "agb_start" in told.names(without)
    assert told.check(bundle, rasters=told.forest.land.people.installation.home.rasters).same


@ONE
def test_a_raster_that_may_not_be_passed_on_stays_at_home(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.estimates.bundles.writing.LICENCES", {})
    with pytest.raises(RasterNotRedistributable):
        told.gather()
    assert told.gather(rasters=False).left_out


def test_a_run_of_land_whose_outline_was_erased_is_not_handed_out(told: Told) -> None:
    installation = told.forest.land.people.installation
    with installation.database.read() as session:
        number = load_record(load_run(session, told.run)).inputs.parcels[0]
    with installation.database.write() as session:
        session.get_one(ParcelVersion, (number.parcel, number.version)).wkb = None
    with pytest.raises(BundleOutlineErased):
        told.gather()


@ONE
def test_an_unknown_run_has_no_bundle(told: Told) -> None:
    installation = told.forest.land.people.installation
    with installation.database.read() as session, pytest.raises(NotFound):
        gather(session, installation.home, "no-run", None)


# ---- bad bundles -------------------------------------------------------------------------------------------


def packed(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


NEEDED = {"bundle.json": b"{}", "record.json": b"{}", "SHA256SUMS": b""}


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"../out.txt": b"x"}, "member_name"),
        ({"/etc/passwd": b"x"}, "member_name"),
        ({"outlines/x.wkb": b"x"}, "member_name"),
        ({"outlines/" + "0" * 64 + ".wkb": b"\0" * (80 << 20)}, "ratio"),
    ],
)
def test_a_bundle_that_would_do_harm_is_refused(
    tmp_path: Path, members: dict[str, bytes], reason: str
) -> None:
    with pytest.raises(BundleRefused) as refused:
        unpack(packed(tmp_path / "bad.zip", NEEDED | members), tmp_path / "into")
    assert refused.value.facts["reason"] == reason
    assert not (tmp_path / "out.txt").exists()


@pytest.mark.parametrize("missing", sorted(NEEDED))
def test_a_bundle_without_its_record_or_lists_is_refused(tmp_path: Path, missing: str) -> None:
    members = {name: content for name, content in NEEDED.items() if name != missing}
    with pytest.raises(BundleRefused):
        unpack(packed(tmp_path / "bad.zip", members), tmp_path / "into")


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.zip"
    path.write_bytes(b"PK\x03\x04 but no more")
    with pytest.raises(BundleRefused):
        unpack(path, tmp_path / "into")


def test_a_stranger_is_told_what_is_forest_in_records_of_either_version() -> None:
    old = RasterInput("land_cover_start", "a" * 64, "ESA-WorldCover", "2020-01-01")
    assert forest_said(old) == "land_cover_start: ESA-WorldCover classes 10, 95"
    assert forest_said(replace(old, forest_classes=(7,))) == "land_cover_start: ESA-WorldCover classes 7"
    assert forest_said(replace(old, kind="eligible_share")) == "land_cover_start: its own shares"
