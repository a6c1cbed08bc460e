"""Lets the command gcloud, unchanged, judge the simulated Google Cloud.

Usage: judge_gcloud.py SIMULATOR_FILE. It goes through the life of a cluster; where gcloud and the
simulator disagree, gcloud is right.
"""

import json
import os
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request

REGION = "europe-west1"


def token(adc_file):
    """An access token for the person of the simulator's credentials file."""
    with open(adc_file, encoding="utf-8") as file:
        adc = json.load(file)
    form = {field: adc[field] for field in ("refresh_token", "client_id", "client_secret")}
    body = urllib.parse.urlencode(form | {"grant_type": "refresh_token"}).encode()
    with urllib.request.urlopen(adc["token_uri"], body, timeout=30) as answer:
        return json.load(answer)["access_token"]


class Gcloud:
    """gcloud with a home of its own, whose every address is the simulator."""

    def __init__(self, card, home):
        credential = os.path.join(home, "token")
        with open(os.open(credential, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
            file.write(token(card["google_credentials_file"]))
        self.environment = os.environ | {
            "CLOUDSDK_CONFIG": home,
            "CLOUDSDK_CORE_PROJECT": card["google_projects"][0],
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "1",
            "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "1",
            "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": credential,
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER": card["google"] + "/",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_COMPUTE": card["google"] + "/compute/v1/",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDRESOURCEMANAGER": card["google"] + "/",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_SERVICEUSAGE": card["google"] + "/",
            "KUBECONFIG": os.path.join(home, "kubeconfig"),
        }

    def run(self, *words, refused=None):
        """Runs `gcloud container ...`; its JSON, or None. With `refused`: it has to fail, saying that."""
        print("   gcloud container", *words, flush=True)
        done = subprocess.run(
            ["gcloud", "container", *words, "--format=json", "--quiet"], env=self.environment,
            capture_output=True, text=True, timeout=300, check=False,
        )
        if refused:
            assert done.returncode != 0 and refused in done.stderr, done.stderr
            return None
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None


def main(card_file):
    with open(card_file, encoding="utf-8") as file:
        card = json.load(file)
    with tempfile.TemporaryDirectory() as home:
        gcloud = Gcloud(card, home)
        region = ("--region", REGION)
        pool = ("--cluster", "judged-cli", *region)
        offered = gcloud.run("get-server-config", *region)
        assert offered["channels"] and offered["validMasterVersions"]
        gcloud.run(
            "clusters", "create", "judged-cli", *region, "--num-nodes", "1", "--machine-type", "n2-standard-4",
            "--release-channel", "regular", "--enable-ip-alias", "--network", "default", "--subnetwork", "default",
            "--cluster-secondary-range-name", "pods", "--services-secondary-range-name", "services",
        )
        seen = gcloud.run("clusters", "describe", "judged-cli", *region)
        assert seen["status"] == "RUNNING" and seen["releaseChannel"]["channel"] == "REGULAR", seen
        assert "judged-cli" in [one["name"] for one in gcloud.run("clusters", "list")]
        gcloud.run("node-pools", "create", "work", *pool, "--num-nodes", "1", "--machine-type", "n2-standard-8", "--spot")
        gcloud.run("clusters", "resize", "judged-cli", *region, "--node-pool", "work", "--num-nodes", "2")
        assert gcloud.run("node-pools", "describe", "work", *pool)["config"]["spot"] is True
        gcloud.run("clusters", "update", "judged-cli", *region, "--update-labels", "team=payments")
        assert gcloud.run("clusters", "describe", "judged-cli", *region)["resourceLabels"] == {"team": "payments"}
        gcloud.run("node-pools", "delete", "work", *pool)
        assert gcloud.run("operations", "list", *region)
        gcloud.run("clusters", "delete", "judged-cli", *region)
        gcloud.run("clusters", "describe", "judged-cli", *region, refused="Not found")
    print("satisfied")


if __name__ == "__main__":
    main(sys.argv[1])
