"""`tanhui db vacuum` on a home: the files of an erased certificate go, those of others stay."""

from typer.testing import CliRunner

from registry.cli import app
from tests.registry.people import People


def test_vacuum_says_what_it_did_and_the_registry_goes_on(people: People) -> None:
    home = people.installation.home
    (home.certificates / "other.pdf").write_bytes(b"%PDF")
    people.installation.close()
    environment = {"TANHUI_HOME": str(home.path)}
    if not home.own_tables.exists():
        environment["TANHUI_DATABASE_URL"] = home.database_url
    done = CliRunner().invoke(app, ["db", "vacuum"], env=environment)
    assert (done.exit_code, done.output) == (0, "the database is written anew\n")
    assert (home.certificates / "other.pdf").exists()
