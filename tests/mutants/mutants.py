"""Mutation score of the provider's two rooms that all else stands on: `make mutants`.

cargo-mutants changes one thing at a time in a copy of the tree and runs the room's own tests: a
change that no test notices is a survivor. PACKAGE names one room; SHARE=k/n tries the k-th of n
equal parts; what was tried is kept in `target/mutants` and goes on where it ended, until the sources
change.

Survivors with a reason stand in `accepted.txt`: a path, the mutation and why, divided by ` | `,
without line numbers. They count as survivors, and are not printed. Exits with 1 below the score, or
when a line of `accepted.txt` names what did not survive.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
ACCEPTED = Path(__file__).parent / "accepted.txt"
ROOMS = {"paymesh-engine": "provider/engine", "paymesh-plugin": "provider/plugin"}
LEAST = 85
# Tests that sweep whole worlds take most of the time; a built mutant is run once.
PROFILE = {f"CARGO_PROFILE_{name}_{key}": value
           for name in ("DEV", "TEST") for key, value in (("OPT_LEVEL", "1"), ("DEBUG", "0"))}
NUMBERS = re.compile(r":\d+:\d+: ")


def accepted() -> dict:
    """The reason for each survivor, by path and mutation."""
    lines = [line for line in ACCEPTED.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    parts = [[part.strip() for part in line.split(" | ")] for line in lines]
    return {(path, mutation): reason for path, mutation, reason in parts}


def named(line) -> tuple:
    """Path and mutation of a line that cargo-mutants wrote."""
    path, mutation = NUMBERS.split(line.strip(), maxsplit=1)
    return path, mutation


def sources(room) -> str:
    """What a score is of."""
    files = sorted((TOP / room).rglob("*.rs"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def try_all(package, room, program) -> Path:
    """Runs cargo-mutants, which goes on where it ended; returns what it wrote."""
    kept = TOP / "target" / "mutants" / package
    stamp = kept / "sources"
    if not stamp.is_file() or stamp.read_text("utf-8") != sources(room):
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        stamp.write_text(sources(room), "utf-8")
    command = [program, "mutants", "-p", package, "--output", str(kept), "--timeout", "120", "--iterate", "--no-times"]
    if share := os.environ.get("SHARE"):
        part, parts = map(int, share.split("/"))
        command += ["--shard", f"{part - 1}/{parts}"]
    code = subprocess.run(command, cwd=TOP, env=os.environ | PROFILE, check=False).returncode
    if code not in (0, 2, 3):  # 2: some survived; 3: some took too long, which is noticed too
        sys.exit(f"cargo-mutants ended with {code}")
    return kept / "mutants.out"


def score(package, found) -> tuple:
    """Prints the share that was noticed; returns it in percent, with the survivors."""
    def lines(name):
        file = found / f"{name}.txt"
        return file.read_text("utf-8").splitlines() if file.is_file() else []

    survived = [named(line) for line in lines("missed")]
    noticed = sum(len(lines(name)) for name in ("caught", "previously_caught", "timeout"))
    share = 100 * noticed / max(noticed + len(survived), 1)
    print(f"{package}: {noticed} of {noticed + len(survived)} mutants noticed, {share:.1f} %; {len(lines('unviable'))} do not compile")
    return share, survived


def main() -> int:
    """Tries each room."""
    rooms = ROOMS
    if package := os.environ.get("PACKAGE"):
        if package not in ROOMS:
            sys.exit(f"PACKAGE is one of {', '.join(ROOMS)}")
        rooms = {package: ROOMS[package]}
    reasons, bad = accepted(), False
    for package, room in rooms.items():
        share, survived = score(package, try_all(package, room, os.environ["CARGO_MUTANTS"]))
        for path, mutation in survived:
            if (path, mutation) not in reasons:
                print(f"  survived: {path}: {mutation}")
        stale = [key for key in reasons if key[0].startswith(room) and key not in survived]
        if "SHARE" not in os.environ:
            for path, mutation in stale:
                print(f"  accepted.txt names what did not survive: {path} | {mutation}")
            bad |= bool(stale)
        bad |= share < LEAST
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
