"""Clients that nobody here wrote judge the simulated cloud: `python3 tests/tools/judges.py`.

Each goes through the life of a cluster. Then they read what Terraform created, and Terraform
imports what they created. A judge that is not here is printed as NOT JUDGED and never counted.
`PAYMESH_BIN_DIR` holds the programs, `PAYMESH_CLIENT` is the Terraform.
"""

import json
import shutil
import sys
from pathlib import Path

sys.dont_write_bytecode = True

from catalogue import CATALOGUE, Missing, get  # noqa: E402
from bed import Bed, Disagreement  # noqa: E402

TOP = Path(__file__).resolve().parents[2]
JUDGES = TOP / "tests" / "cloudsim" / "judges"
IMPORTS = """
terraform {
  required_providers {
    paymesh = { source = "paymesh/paymesh" }
  }
}

provider "paymesh" {
  owner     = "judges/imports"
  simulator = true
}
"""


def judge(bed, cloud, *words, **options):
    """Runs one of the judges in Python."""
    python = get(CATALOGUE["judges"]).path
    return bed.run(python, JUDGES / f"judge_{cloud}.py", bed.card, *words, **options)


def lives(bed):
    """Each client goes through the life of a cluster."""
    for cloud in ("azure", "google"):
        print(f"==> {cloud}: Python clients", flush=True)
        judge(bed, cloud)
    try:
        gcloud = get(CATALOGUE["gcloud"])
    except Missing as reason:
        print(f"NOT JUDGED by gcloud: {reason}", flush=True)
        return
    print(f"==> google: gcloud {gcloud.version}", flush=True)
    bed.run(sys.executable, JUDGES / "judge_gcloud.py", bed.card)


def read_what_terraform_made(bed):
    """What the clients see of a cluster is what its Terraform state says."""
    print("==> the clients read what Terraform created", flush=True)
    module = bed.folder / "made"
    module.mkdir()
    shutil.copy2(TOP / "examples" / "local" / "main.tf", module)
    bed.terraform(module, "init", "-input=false", capture=True)
    bed.terraform(module, "apply", "-auto-approve", "-input=false", "-no-color", capture=True)
    state = json.loads(bed.terraform(module, "show", "-json", capture=True))
    seen = {
        name: cluster
        for cloud in ("azure", "google")
        for name, cluster in json.loads(judge(bed, cloud, "read", capture=True)).items()
    }
    made = [one["values"] for one in state["values"]["root_module"]["resources"]]
    if sorted(seen) != sorted(one["name"] for one in made):
        raise Disagreement(f"the clients see {sorted(seen)}, the state has {[one['name'] for one in made]}")
    for values in made:
        cluster = seen[values["name"]]
        for what, told in (
            ("id", (cluster["id"].lower(), values["id"].lower())),
            ("version", (cluster["version"], values["running_kubernetes_version"])),
            ("number of pools", (len(cluster["pools"]), len(values["node_pools"]))),
        ):
            if told[0] != told[1]:
                raise Disagreement(f"{values['name']}: the client sees {what} {told[0]!r}, the state says {told[1]!r}")
    bed.terraform(module, "destroy", "-auto-approve", "-input=false", "-no-color", capture=True)
    left = [name for cloud in ("azure", "google") for name in json.loads(judge(bed, cloud, "read", capture=True))]
    if left:
        raise Disagreement(f"after terraform destroy the clients still see {left}")


def import_what_the_clients_made(bed):
    """A cluster with another client's defaults is imported with a configuration that Terraform writes."""
    print("==> Terraform imports what the clients created", flush=True)
    module = bed.folder / "imported"
    module.mkdir()
    text = IMPORTS
    for cloud in ("azure", "google"):
        made = json.loads(judge(bed, cloud, "create", capture=True))
        text += f'\nimport {{\n  to = paymesh_cluster.{cloud}\n  id = "{made["id"]}"\n}}\n'
    (module / "main.tf").write_text(text, "utf-8")
    bed.terraform(module, "init", "-input=false", capture=True)
    bed.terraform(module, "plan", "-input=false", "-no-color", "-generate-config-out=written.tf", "-out=plan", capture=True)
    plan = json.loads(bed.terraform(module, "show", "-json", "plan", capture=True))
    for change in plan["resource_changes"]:
        actions = change["change"]["actions"]
        if actions != ["no-op"]:
            raise Disagreement(f"the import of {change['address']} wants to {' and '.join(actions)} something")


def main() -> int:
    with Bed() as bed:
        try:
            for act in (lives, read_what_terraform_made, import_what_the_clients_made):
                act(bed)
        except (Disagreement, Missing) as reason:
            print(f"\njudges: {reason}", file=sys.stderr)
            return 1
    print("The judges are satisfied.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
