"""Many clusters at once, with the request budgets of both clouds on.

The clock runs slowly, so that Terraform's own start is little of it.
"""

import json
import subprocess
from collections import defaultdict
from datetime import datetime

from contender import Contender
from figure import Figure

COUNT = 16
RATE = 10
# The smallest that both clouds take. Secondary ranges belong to one cluster, and a region has two
# pairs of them.
CLUSTERS = f"""
locals {{
  regions = ["europe-north1", "europe-southwest1", "europe-west1", "europe-west2", "europe-west3", "europe-west4", "europe-west6", "europe-west9"]
  ranges  = ["", "-2"]
}}
terraform {{
  required_providers {{
    paymesh = {{ source = "paymesh/paymesh" }}
  }}
}}
provider "paymesh" {{
  owner     = "bench/clusters"
  simulator = true
}}
resource "paymesh_cluster" "aks" {{
  count               = {COUNT}
  name                = "aks-${{count.index}}"
  region              = "westeurope"
  kubernetes_version  = "1.34"
  azure               = {{}}
  deletion_protection = false
  node_pools          = {{ system = {{ mode = "system", vcpu = 4, memory_gb = 16, min_nodes = 3, max_nodes = 3 }} }}
}}
resource "paymesh_cluster" "gke" {{
  count               = {COUNT}
  name                = "gke-${{count.index}}"
  region              = local.regions[count.index % 8]
  kubernetes_version  = "1.34"
  google              = {{}}
  deletion_protection = false
  network = {{
    subnet_id      = "projects/paymesh-hub/regions/${{local.regions[count.index % 8]}}/subnetworks/default"
    pods_range     = "pods${{local.ranges[floor(count.index / 8)]}}"
    services_range = "services${{local.ranges[floor(count.index / 8)]}}"
  }}
  node_pools = {{ system = {{ mode = "system", vcpu = 4, memory_gb = 16, min_nodes = 3, max_nodes = 3 }} }}
}}
"""


def measure(bed, programs):
    """The apply beside its longest chain of operations, the plan beside its objects."""
    ours = Contender(bed, "clusters", None)
    ours.write(CLUSTERS)
    ours.terraform("init", "-input=false")
    control(bed, "clock", {"rate": RATE})
    began = now(bed)
    ours.terraform("apply", "-auto-approve", "-input=false", "-parallelism=40")
    took = now(bed) - began
    chain = longest_chain(control(bed, "operations")["operations"])
    objects = sum(len(held) for held in control(bed, "inventory").values())
    before = control(bed, "journal?since=0")["entries"]
    throttled = sum(entry["status"] == 429 for entry in before)
    ours.terraform("plan", "-input=false", "-detailed-exitcode", "-parallelism=40")
    entries = control(bed, "journal?since=0")["entries"][len(before):]
    reads = [(entry["method"], entry["path"]) for entry in entries if "token" not in entry["path"]]
    ours.terraform("destroy", "-auto-approve", "-input=false", "-parallelism=40")
    of = f"{COUNT} AKS and {COUNT} GKE clusters"
    return [
        Figure("clusters", f"apply of {of}, simulated s ({throttled} requests throttled)", took / 1000,
               "longest chain of operations", chain / 1000, 1.1),
        Figure("clusters", f"plan with nothing to do for {of}, reads", len(reads), "addresses read", len(set(reads)), 1.0),
        Figure("clusters", f"plan with nothing to do for {of}, requests with tokens", len(entries), "objects", objects),
    ]


def longest_chain(operations) -> float:
    """The milliseconds that the clouds worked on the cluster that kept them busiest."""
    spans = defaultdict(list)
    for operation in operations:
        cluster = next((part for part in operation["target"].split("/") if part.startswith(("aks-", "gke-"))), None)
        if cluster and operation["ended"]:
            spans[cluster].append((operation["started"], operation["due"]))
    return max(covered(sorted(work)) for work in spans.values())


def covered(spans) -> float:
    """The length of what at least one of the spans covers."""
    total, reached = 0, float("-inf")
    for begin, end in spans:
        total += max(0, end - max(begin, reached))
        reached = max(reached, end)
    return total


def now(bed) -> float:
    """Simulated time in milliseconds."""
    return datetime.fromisoformat(control(bed, "clock")["now"].replace("Z", "+00:00")).timestamp() * 1000


def control(bed, path, body=None):
    """An answer of the control API."""
    card = json.loads(bed.card.read_text("utf-8"))
    send = ["-X", "POST", "-H", "content-type: application/json", "-d", json.dumps(body)] if body else []
    command = ["curl", "-sS", "--fail", "--cacert", card["ca"], *send, f"{card['control']}/{path}"]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
