"""A process of the race tests: confirms one registration when told to, and says what came of it.

Arguments: the installation's folder, its database URL, and the confirmer and the request as JSON.
"""

import json
import sys
from pathlib import Path

from registry.installation import opened
from registry.machine import Mandate, Role
from registry.projects.rules import ClaimRefused, ParcelsUnfit
from registry.settings import Home


def main() -> None:
    home, url, told = sys.argv[1:]
    asked = json.loads(told)
    confirmer = Mandate(asked["id"], asked["person"], asked["organisation"], Role(asked["role"]))
    with opened(Home.at(Path(home), url)) as installation:
        print("ready", flush=True)
        sys.stdin.readline()
        try:
            print(installation.office.confirm(confirmer, asked["request"]).status, flush=True)
        except (ClaimRefused, ParcelsUnfit) as refusal:
            print(refusal.code, flush=True)


if __name__ == "__main__":
    main()
