"""The container images, really run: `python3 tests/images`.

The tests of the services start programs of a folder. Here that folder holds, under the name of each
program of which there is an image, a script that runs the image (`contain.py`), beside the programs
that have none. `PAYMESH_BIN_DIR` names the folder of the latter; the images are those that
`python3 services/images` wrote last.
"""

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CARGO_TEST = ("cargo", "test", "--workspace", "--locked")
# A charge, and a database that is made and kept; each of the real services that they start is an image.
TESTS = (("--test", "images", "--", "--ignored"), ("--test", "operator", "--", "--ignored", "life::"))


def launch(folder: Path, images, programs: Path) -> None:
    """Fills the folder that the tests take their programs from."""
    for image in images:
        command = shlex.join([sys.executable, "-IB", str(HERE / "contain.py"), str(image)])
        launcher = folder / f"paymesh-{image.name}"
        launcher.write_text(f'#!/bin/sh\nexec {command} "$@"\n', "utf-8")
        launcher.chmod(0o755)
    (folder / "paymesh-acquirer").symlink_to(programs / "paymesh-acquirer")


def main() -> int:
    """The command."""
    metadata = ("cargo", "metadata", "--no-deps", "--offline", "--format-version", "1")
    answer = subprocess.run(metadata, cwd=HERE, check=True, capture_output=True, text=True).stdout
    images = sorted((Path(json.loads(answer)["target_directory"]) / "images").glob("*"))
    with tempfile.TemporaryDirectory() as folder:
        launch(Path(folder), images, Path(os.environ["PAYMESH_BIN_DIR"]))
        environment = os.environ | {"PAYMESH_BIN_DIR": folder}
        results = [subprocess.run([*CARGO_TEST, *test], cwd=HERE, env=environment).returncode for test in TESTS]
    return max(results)


if __name__ == "__main__":
    sys.exit(main())
