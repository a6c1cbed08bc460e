"""Benchmarks of the provider: `make bench`, or `python3 tests/bench/bench.py [start|trivial|clusters]...`.

Every line stands beside a peer or a limit that was measured in the same run. Prints a table, writes
`target/bench/figures.json`, and with `PAGE=1` the page of the documentation.

Builds for release, unless PAYMESH_BIN_DIR names what is built already.
"""

import dataclasses
import json
import os
import platform
import subprocess
import sys
from datetime import date
from pathlib import Path

sys.dont_write_bytecode = True
TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "tools"))

import clusters  # noqa: E402
import peers  # noqa: E402
import start  # noqa: E402
import trivial  # noqa: E402
from bed import Bed, Disagreement  # noqa: E402
from catalogue import CATALOGUE, Missing, get  # noqa: E402
from figure import HEADINGS  # noqa: E402

PARTS = {
    "start": lambda bed, programs: start.measure(
        bed, programs, (TOP / "examples/local/main.tf").read_text("utf-8"), peers.all_peers()),
    "trivial": lambda bed, programs: trivial.measure(bed, programs, peers.all_peers()),
    "clusters": clusters.measure,
}
PAGE = TOP / "docs" / "guides" / "benchmarks.md"


def build() -> Path:
    """Everything for release, in the tests' own choice of features."""
    if built := os.environ.get("PAYMESH_BIN_DIR"):
        return Path(built)
    subprocess.run(["cargo", "build", "--release", "--locked", "--workspace", "--bins", "--examples"], cwd=TOP, check=True)
    answer = subprocess.run(
        ["cargo", "metadata", "--no-deps", "--offline", "--format-version", "1"],
        cwd=TOP, check=True, capture_output=True, text=True,
    )
    return Path(json.loads(answer.stdout)["target_directory"]) / "release"


def circumstances(programs, client) -> dict:
    """What the figures are of."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=TOP, check=True, capture_output=True, text=True).stdout.strip()
    return {
        "date": date.today().isoformat(),
        "commit": commit,
        "command": "make bench",
        "build": programs.name,
        "terraform": client.version,
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}",
    }


def table(rows) -> str:
    """Columns as wide as they have to be."""
    rows = [HEADINGS, *rows]
    wide = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, wide)).rstrip() for row in rows)


def page(about, figures) -> str:
    """The page of the documentation."""
    rows = "\n".join(f"| {' | '.join(figure.cells())} |" for figure in figures)
    return f"""---
page_title: "Benchmarks"
subcategory: "Guides"
description: |-
  What the provider costs, beside a peer or a limit.
---

`{about['command']}` measures and prints this, and `PAGE=1 {about['command']}` writes this page. The last run: {about['date']}, commit `{about['commit']}`, {about['build']} build, Terraform {about['terraform']}, {about['machine']}.

| {' | '.join(HEADINGS)} |
|{'---|' * len(HEADINGS)}
{rows}

`terraform_data` is built into Terraform: it has no plugin, no process and no wire. The smallest provider is that of `provider/plugin/examples`: on our framework, with a resource of two attributes and nothing behind it; tf-provider is the null example of the other framework in Rust, and hashicorp/time a provider on the framework in Go, whose `time_static` asks nobody for anything either. Terraform itself takes time that grows with the square of the number of resources; our share is what is left when the time of `terraform_data` is taken away, and has a line where there is any. Any provider behind the wire costs Terraform itself, which encodes, sends and waits, more than its built-in resource does: how little of a first plan is the provider's own is on the line of its processor time. That bounds the aims that stand beside `terraform_data`. The clusters are made on the simulated cloud, with both clouds' request budgets on; the longest chain is the time in which the cloud worked on the cluster that kept it busiest.
"""


def main() -> int:
    chosen = sys.argv[1:] or list(PARTS)
    if unknown := [name for name in chosen if name not in PARTS]:
        print(f"bench: no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    try:
        client = get(CATALOGUE["terraform-1.11"])
        programs = build()
        os.environ |= {"PAYMESH_BIN_DIR": str(programs), "PAYMESH_CLIENT": client.path}
        figures = []
        for name in chosen:
            print(f"==> {name}", file=sys.stderr, flush=True)
            with Bed() as bed:
                figures += PARTS[name](bed, programs)
    except (Disagreement, Missing) as reason:
        print(f"\nbench: {reason}", file=sys.stderr)
        return 1
    about = circumstances(programs, client)
    print(f"{', '.join(f'{key} {value}' for key, value in about.items())}\n")
    print(table([figure.cells() for figure in figures]))
    place = TOP / "target" / "bench" / "figures.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    shown = [dataclasses.asdict(figure) | {"ratio": figure.ratio} for figure in figures]
    place.write_text(json.dumps({"about": about, "figures": shown}, indent=2), "utf-8")
    print(f"\nas JSON: {place}")
    if os.environ.get("PAGE") == "1":
        PAGE.write_text(page(about, figures), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
