"""First figures of the provider: `make figures`.

Prints how long a process takes from its start to its answer to Terraform's first question (the
schema), the most memory it had in a plan, and how many requests a plan makes that finds nothing to
do. Each stands beside its measure from the same run: the sample provider, which has one small
resource, and the number of objects that exist.

Builds for release, unless PAYMESH_BIN_DIR names what is built already.
"""

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
from datetime import datetime
from pathlib import Path

sys.dont_write_bytecode = True
TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests" / "tools"))

from bed import Bed, Disagreement  # noqa: E402
from catalogue import CATALOGUE, Missing, get  # noqa: E402

ROUNDS = 9
SAMPLE = """
terraform {{
  required_providers {{
    sample = {{ source = "paymesh/sample" }}
  }}
}}
provider "sample" {{ directory = "{folder}" }}
resource "sample_note" "one" {{ name = "one" }}
"""


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


class Provider:
    """One of the two providers under Terraform."""

    def __init__(self, bed, name, program, module):
        self.bed, self.name, self.program, self.module = bed, name, program, module
        settings = bed.folder / f"{name}.rc"
        settings.write_text(
            f'disable_checkpoint = true\nprovider_installation {{\n  dev_overrides {{ "paymesh/{name}" = "{program.parent}" }}\n'
            "  direct {}\n}\n", "utf-8")
        self.environment = bed.environment | {"TF_CLI_CONFIG_FILE": str(settings)}

    def terraform(self, *words, **environment):
        done = subprocess.run(
            [self.bed.client, f"-chdir={self.module}", *words], env=self.environment | environment,
            capture_output=True, text=True, check=False,
        )
        if done.returncode:
            raise Disagreement(f"{self.name}: terraform {words[0]}: {done.stdout}{done.stderr}")
        return done

    def schema_milliseconds(self) -> float:
        """From the start of the process to its answer, as Terraform's log tells it."""
        log = self.terraform("validate", TF_LOG="trace").stderr
        moment = {}
        for line in log.splitlines():
            words = {"start": "starting plugin:", "answer": "tf_rpc=GetProviderSchema"}
            for key, mark in words.items():
                if mark in line and (stamp := re.match(r"(\S+T\S+?)(Z|[+-]\d\d:?\d\d)? ", line)):
                    moment.setdefault(key, datetime.fromisoformat(stamp.group(1)))
        return (moment["answer"] - moment["start"]).total_seconds() * 1000

    def plan_megabytes(self) -> float:
        """The most memory of a process that served one plan."""
        process = subprocess.Popen(
            [self.program, "-debug"], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            line = next(line for line in process.stdout if "TF_REATTACH_PROVIDERS=" in line)
            self.terraform("plan", TF_REATTACH_PROVIDERS=line.split("'")[1])
            status = Path(f"/proc/{process.pid}/status").read_text("utf-8")
        finally:
            process.terminate()
            process.wait()
        return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024


def main() -> int:
    try:
        client = get(CATALOGUE["terraform-1.11"]).path
        programs = build()
        os.environ |= {"PAYMESH_BIN_DIR": str(programs), "PAYMESH_CLIENT": client}
        with Bed() as bed:
            measure(bed, programs)
    except (Disagreement, Missing) as reason:
        print(f"\nfigures: {reason}", file=sys.stderr)
        return 1
    return 0


def measure(bed, programs):
    """All figures, in one simulated cloud."""
    modules = {name: bed.folder / name for name in ("paymesh", "sample")}
    for module in modules.values():
        module.mkdir()
    shutil.copy2(TOP / "examples" / "local" / "main.tf", modules["paymesh"])
    notes = bed.folder / "notes"
    notes.mkdir()
    (modules["sample"] / "main.tf").write_text(SAMPLE.format(folder=notes), "utf-8")
    # A folder of its own for each: the name is what Terraform looks for.
    for name, program in (("paymesh", programs / "terraform-provider-paymesh"), ("sample", programs / "examples" / "sample")):
        (bed.folder / f"{name}-bin").mkdir()
        shutil.copy2(program, bed.folder / f"{name}-bin" / f"terraform-provider-{name}")
    ours, peer = (
        Provider(bed, name, bed.folder / f"{name}-bin" / f"terraform-provider-{name}", module)
        for name, module in modules.items()
    )
    for provider in (ours, peer):
        provider.terraform("apply", "-auto-approve", "-input=false")

    def newest():
        journal = control(bed, "journal?since=0")["entries"]
        return len(journal)

    before = newest()
    ours.terraform("plan", "-input=false", "-detailed-exitcode")
    requests = newest() - before
    objects = sum(len(held) for held in control(bed, "inventory").values())
    starts = [[provider.schema_milliseconds() for provider in (ours, peer)] for _ in range(ROUNDS)]
    start, start_of_peer = (statistics.median(column) for column in zip(*starts))
    memory, memory_of_peer = ours.plan_megabytes(), peer.plan_megabytes()
    print(f"programs of {programs}\n")
    print(f"{'':44}{'paymesh':>9}{'sample':>9}{'ratio':>8}")
    print(f"{f'start to schema, ms (median of {ROUNDS})':44}{start:9.0f}{start_of_peer:9.0f}{start / start_of_peer:8.2f}")
    print(f"{'most memory in a plan, MiB':44}{memory:9.1f}{memory_of_peer:9.1f}{memory / memory_of_peer:8.2f}")
    print(f"\nplan with nothing to do: {requests} requests, tokens included, for {objects} objects on two clouds")


def control(bed, path):
    """An answer of the control API."""
    card = json.loads(bed.card.read_text("utf-8"))
    answer = subprocess.run(
        ["curl", "-sS", "--fail", "--cacert", card["ca"], f"{card['control']}/{path}"], check=True, capture_output=True)
    return json.loads(answer.stdout)


if __name__ == "__main__":
    sys.exit(main())
