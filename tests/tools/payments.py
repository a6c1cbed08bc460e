"""The payment services on this machine: `python3 tests/tools/payments.py up|down|check|clock|torture`.

Builds the programs, then lets `paymesh-payments` (tests/payments) do it: PostgreSQL, the services,
the merchant's page, a receiver of webhooks and the sandbox acquirer from nothing, and a charge. All
can be repeated and interrupted.
`BUS=kafka` has messages go over a real Apache Kafka.
`clock` has what waits for a time happen FORWARD earlier, such as `8d` or `20m`.
`torture` pays while everything that can fail does; LONG=1 makes it ten times as long, SEED=n
another order of faults and payments. With `BUS=kafka` it is a shorter run on three brokers, which
fail too.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True

from catalogue import CATALOGUE, Missing, get  # noqa: E402

TOP = Path(__file__).resolve().parents[2]
PACKAGES = ("acquirer", "merchant-page", "payment-api", "payment-processor", "payments", "persistence")


def programs() -> Path:
    """Builds the programs; gives their folder."""
    for name in ("cargo", "cc"):
        get(CATALOGUE[name])
    chosen = [word for package in PACKAGES for word in ("-p", f"paymesh-{package}")]
    if subprocess.run(["cargo", "build", "--locked", "--bins", *chosen], cwd=TOP).returncode:
        raise Missing("the services could not be built, see above")
    answer = subprocess.run(["cargo", "metadata", "--no-deps", "--format-version", "1", "--offline"],
                            cwd=TOP, check=True, capture_output=True, text=True).stdout
    return Path(json.loads(answer)["target_directory"]) / "debug"


def folder() -> Path:
    """Where everything is kept. PostgreSQL runs as another user when we are root, and that user
    cannot look into every clone."""
    if os.geteuid() != 0:
        return TOP / "target" / "payments"
    clone = hashlib.sha256(str(TOP).encode()).hexdigest()[:8]
    return Path(tempfile.gettempdir()) / f"paymesh-payments-{clone}"


# Payments, faults and payments a second; three brokers share the machine with everything else.
TORTURE = {"embedded": (100_000, 40, 150), "kafka": (20_000, 10, 80)}


def chosen_bus():
    """What carries messages, and the environment of a program that is told so."""
    bus = os.environ.get("BUS", "embedded")
    environment = os.environ
    if bus == "kafka":
        get(CATALOGUE["java"])
        environment = os.environ | {"PAYMESH_KAFKA": get(CATALOGUE["kafka"]).path}
    return bus, environment


def torture() -> int:
    """The long run, in a folder that stays when it fails."""
    bus, environment = chosen_bus()
    payments, faults, rate = TORTURE.get(bus, TORTURE["embedded"])
    longer = (10, 4) if os.environ.get("LONG") == "1" else (1, 1)
    place = folder().with_name(folder().name + "-torture")
    shutil.rmtree(place, ignore_errors=True)
    sizes = {"payments": payments * longer[0], "faults": faults * longer[1], "rate": rate,
             "seed": os.environ.get("SEED", "1"), "bus": bus}
    words = [str(word) for name, size in sizes.items() for word in (f"--{name}", size)]
    return subprocess.run([programs() / "paymesh-payments", "torture", place, *words],
                          env=environment).returncode


def main(words) -> int:
    """The command."""
    if len(words) != 1 or words[0] not in ("up", "down", "check", "clock", "torture"):
        print(__doc__, file=sys.stderr)
        return 2
    forward = os.environ.get("FORWARD")
    if words[0] == "clock" and not forward:
        print("payments: say how far, as in `make payments-clock FORWARD=8d`", file=sys.stderr)
        return 2
    try:
        if words[0] == "torture":
            return torture()
        bus, environment = chosen_bus() if words[0] == "up" else ("", os.environ)
        chosen = ["--bus", bus] if bus else []
        further = [forward] if words[0] == "clock" else []
        return subprocess.run([programs() / "paymesh-payments", words[0], *chosen, folder(), *further],
                              env=environment).returncode
    except (Missing, KeyboardInterrupt) as reason:
        print(f"\npayments: {reason}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
