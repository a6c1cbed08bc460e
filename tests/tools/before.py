"""The release before this one: the programs of the payment services as an earlier commit has them.

They are built once, from the commit alone, outside every clone. What an interrupted build made is
kept, so the next one goes on where it was; when it is done only the programs stay.
"""

import os
import shutil
import subprocess
from pathlib import Path

import cache
from catalogue import CATALOGUE, Missing, get

TOP = Path(__file__).resolve().parents[2]

# The last commit whose schema ends with step 10: there is no release yet, so a commit stands for it.
# It speaks mutual TLS and seals the audit chain; it knows no traces and closes its doors at once when
# it is asked to end.
RELEASE = "8e03b5532b13796d008b86a345e374a1b665b17e"

PACKAGES = ("payment-api", "payment-processor", "persistence")
PROGRAMS = ("payment-api", "payment-processor", "db-controller", "db-migrate")


def programs() -> Path:
    """The folder of the programs; builds them if nobody did."""
    return cache.ensure(f"services-{RELEASE[:12]}", _make)


def _make(folder: Path):
    archive = _archive()
    for name in ("cargo", "cc"):
        get(CATALOGUE[name])
    place = cache.root() / f"services-{RELEASE[:12]}.build"
    source, target = place / "source", place / "target"
    shutil.rmtree(source, ignore_errors=True)
    source.mkdir(parents=True)
    # Files have the time of the commit, so nothing is built twice.
    subprocess.run(["tar", "-x", "-C", str(source)], input=archive, check=True)
    chosen = [word for package in PACKAGES for word in ("-p", f"paymesh-{package}")]
    environment = os.environ | {"CARGO_TARGET_DIR": str(target)}
    if subprocess.run(["cargo", "build", "--locked", "--bins", *chosen], cwd=source, env=environment).returncode:
        raise Missing(f"the release before ({RELEASE[:12]}) could not be built, see above")
    for program in PROGRAMS:
        shutil.copy2(target / "debug" / f"paymesh-{program}", folder)
    shutil.rmtree(place)


def _archive() -> bytes:
    answer = subprocess.run(["git", "archive", "--format=tar", RELEASE], cwd=TOP, capture_output=True, check=False)
    if answer.returncode:
        raise Missing(f"the release before ({RELEASE[:12]}) is not in this clone: git fetch --unshallow")
    return answer.stdout
