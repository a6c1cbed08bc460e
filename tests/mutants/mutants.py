"""Mutation score of the provider's two rooms that all else stands on: `make mutants`.

cargo-mutants changes one thing at a time in a copy of the tree and runs the room's own tests, those
that take no time first and all of them on what survived: a change that no test notices is a survivor.
PACKAGE names one room; SHARE=k/n tries the k-th of n equal parts; CARGO_MUTANTS_JOBS=n tries so many
at once. What was caught is kept in
`target/mutants` until the code changes, not its tests: a test that comes later only has the survivors
to meet, and one that is taken away is missed only by a run from nothing.

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
# No part of the product: through it fuzz targets, which are elsewhere, reach what has no public name.
LEFT_OUT = "provider/plugin/src/entries.rs"
# The tests that are run one group after the other, each on what the ones before let through: seconds
# they may take, what is built of the room (all if nothing is said), and what the tests are given. The last
# are all of them.
PASSES = {
    "paymesh-engine": ((20, ("--lib",), ("--", "--skip", "sweep::", "--skip", "properties::")), (120, (), ())),
    "paymesh-plugin": (
        (20, ("--lib",), ("--", "--skip", "just_below_the_limit")),
        (20, ("--test=typed_layer", "--test=docs_pages"), ()),
        # The life of the process, which is all that no test of its own room can see.
        (90, ("--test=terraform",), ("--", "refusals::", "interrupts::", "connection::", "a_panic_is")),
        (300, (), ()),
    ),
}
LEAST = 85
PROFILE = {"CARGO_PROFILE_DEV_DEBUG": "0", "CARGO_PROFILE_TEST_DEBUG": "0"}
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
    files = sorted(file for file in (TOP / room).rglob("*.rs") if "tests" not in file.relative_to(TOP / room).parts)
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def try_all(package, room, program) -> Path:
    """Runs cargo-mutants, which goes on where it ended; returns what it wrote."""
    kept = TOP / "target" / "mutants" / package
    stamp = kept / "sources"
    if not stamp.is_file() or stamp.read_text("utf-8") != sources(room):
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        stamp.write_text(sources(room), "utf-8")
    command = [program, "mutants", "-p", package, "--output", str(kept), "--iterate", "--no-times", "--exclude", LEFT_OUT]
    if share := os.environ.get("SHARE"):
        part, parts = map(int, share.split("/"))
        command += ["--shard", f"{part - 1}/{parts}"]
    # A share of what the quick tests left would be another share.
    passes = PASSES[package][-1:] if "SHARE" in os.environ else PASSES[package]
    for seconds, targets, tests in passes:
        only = [f"--cargo-arg={target}" for target in targets]
        tried = subprocess.run(
            [*command, *only, "--timeout", str(seconds), "--", *tests], cwd=TOP, env=os.environ | PROFILE, check=False)
        if tried.returncode not in (0, 2, 3):  # 2: some survived; 3: some took too long, which is noticed too
            sys.exit(f"cargo-mutants ended with {tried.returncode}")
        # What does not compile is listed as caught from the next pass on.
        known = read(kept / "unviable.txt") | read(kept / "mutants.out" / "unviable.txt")
        (kept / "unviable.txt").write_text("".join(f"{line}\n" for line in sorted(known)), "utf-8")
    return kept / "mutants.out"


def read(file) -> set:
    """Its lines."""
    return set(file.read_text("utf-8").splitlines()) if file.is_file() else set()


def score(package, found) -> tuple:
    """Prints the share that was noticed; returns it in percent, with the survivors."""
    unviable = read(found.parent / "unviable.txt")
    survived = [named(line) for line in sorted(read(found / "missed.txt"))]
    noticed = read(found / "caught.txt") | read(found / "previously_caught.txt") | read(found / "timeout.txt")
    count = len(noticed - unviable)
    share = 100 * count / max(count + len(survived), 1)
    print(f"{package}: {count} of {count + len(survived)} mutants noticed, {share:.1f} %; {len(unviable)} do not compile")
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
