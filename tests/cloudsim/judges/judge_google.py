"""Lets Google's own clients, unchanged, judge the simulated Google Cloud.

Usage: judge_google.py SIMULATOR_FILE [read|create]. Without a word it goes through the life of a
cluster and more; `read` prints every cluster as the client sees it, `create` makes one and leaves
it. Where a client and the simulator disagree, the client is right.
"""

import base64
import json
import sys
import time

from google.api_core import exceptions
from google.auth.transport.requests import AuthorizedSession
from google.cloud import container_v1
from google.cloud.container_v1.services.cluster_manager.transports.rest import (
    ClusterManagerRestTransport,
)
from google.oauth2 import credentials, service_account
from googleapiclient import discovery, errors

REGION, ZONE = "europe-west1", "us-central1-a"


class Cloud:
    """The simulated cloud as one person sees it."""

    def __init__(self, card, person):
        self.base = card["google"]
        self.project = card["google_projects"][0]
        if isinstance(person, dict):
            self.credentials = service_account.Credentials.from_service_account_info(
                person, scopes=["https://www.googleapis.com/auth/cloud-platform"]
            )
        else:
            with open(person, encoding="utf-8") as file:
                adc = json.load(file)
            # from_authorized_user_file would always ask oauth2.googleapis.com.
            self.credentials = credentials.Credentials(
                None,
                **{field: adc[field] for field in ("refresh_token", "token_uri", "client_id", "client_secret")},
            )
        self.gke = container_v1.ClusterManagerClient(
            transport=ClusterManagerRestTransport(
                host=self.base.removeprefix("http://"),
                credentials=self.credentials,
                url_scheme="http",
            )
        )

    def discovered(self, api, version, path="/"):
        return discovery.build(
            api,
            version,
            credentials=self.credentials,
            static_discovery=True,
            client_options={"api_endpoint": self.base + path},
        )

    def at(self, location, *rest):
        return "/".join((f"projects/{self.project}/locations/{location}", *rest))

    def done(self, operation, location=REGION):
        limit = time.monotonic() + 60
        while operation.status.name != "DONE":
            assert time.monotonic() < limit, f"still {operation}"
            time.sleep(0.1)
            operation = self.gke.get_operation(name=self.at(location, "operations", operation.name))
        assert not operation.error.message, operation.error
        print("   ", operation.operation_type.name)
        return operation


def refused(kind, act):
    try:
        act()
    except kind as error:
        print("   ", getattr(error, "message", error))
        return
    raise AssertionError(f"{kind.__name__} expected")


def typed_client(cloud):
    gke, parent = cloud.gke, cloud.at(REGION)
    name = f"{parent}/clusters/judge"
    pool = f"{name}/nodePools/payments"
    channels = gke.get_server_config(name=parent).channels
    assert {"RAPID", "REGULAR", "STABLE"} <= {channel.channel.name for channel in channels}
    cluster = container_v1.Cluster(
        name="judge",
        initial_cluster_version="1.33",
        release_channel={"channel": "REGULAR"},
        resource_labels={"paymesh-owner": "0a1b"},
        network=f"projects/{cloud.project}/global/networks/default",
        subnetwork=f"projects/{cloud.project}/regions/{REGION}/subnetworks/default",
        ip_allocation_policy={
            "use_ip_aliases": True,
            "cluster_secondary_range_name": "pods",
            "services_secondary_range_name": "services",
        },
        network_config={"datapath_provider": "ADVANCED_DATAPATH", "default_enable_private_nodes": True},
        workload_identity_config={"workload_pool": f"{cloud.project}.svc.id.goog"},
        node_pools=[
            container_v1.NodePool(
                name="system",
                initial_node_count=1,
                config={"machine_type": "n2-standard-4"},
                autoscaling={"enabled": True, "total_min_node_count": 3, "total_max_node_count": 6},
            )
        ],
    )
    operation = gke.create_cluster(parent=parent, cluster=cluster)
    refused(exceptions.Conflict, lambda: gke.create_cluster(parent=parent, cluster=cluster))
    refused(exceptions.BadRequest, lambda: gke.delete_cluster(name=name))
    cloud.done(operation)
    seen = gke.get_cluster(name=name)
    assert seen.status.name == "RUNNING" and seen.endpoint and seen.master_auth.cluster_ca_certificate

    wanted = container_v1.NodePool(
        name="payments",
        initial_node_count=1,
        config={
            "machine_type": "n2-standard-8",
            "spot": True,
            "taints": [{"key": "work", "value": "pay", "effect": "NO_SCHEDULE"}],
        },
    )
    cloud.done(gke.create_node_pool(parent=name, node_pool=wanted))
    cloud.done(gke.set_node_pool_size(request={"name": pool, "node_count": 2}))
    limits = {"enabled": True, "total_min_node_count": 0, "total_max_node_count": 9}
    cloud.done(gke.set_node_pool_autoscaling(request={"name": pool, "autoscaling": limits}))
    cloud.done(gke.update_cluster(name=name, update={"desired_master_version": "1.34"}))
    cloud.done(gke.update_node_pool(request={"name": pool, "node_version": "1.34", "image_type": ""}))
    refused(exceptions.BadRequest, lambda: gke.update_cluster(name=name, update={}))
    for update in (
        {"desired_vertical_pod_autoscaling": {"enabled": True}},
        {"desired_control_plane_endpoints_config": {"dns_endpoint_config": {"allow_external_traffic": True}}},
        {"desired_gateway_api_config": {"channel": "CHANNEL_STANDARD"}},
        {"desired_cost_management_config": {"enabled": True}},
    ):
        cloud.done(gke.update_cluster(name=name, update=update))
    window = {"window": {"daily_maintenance_window": {"start_time": "03:00"}}}
    cloud.done(gke.set_maintenance_policy(request={"name": name, "maintenance_policy": window}))
    print_ = gke.get_cluster(name=name).label_fingerprint
    cloud.done(
        gke.set_labels(request={"name": name, "resource_labels": {"team": "pay"}, "label_fingerprint": print_})
    )
    seen = gke.get_cluster(name=name)
    assert seen.current_master_version.startswith("1.34.") and seen.resource_labels == {"team": "pay"}
    assert seen.vertical_pod_autoscaling.enabled and seen.cost_management_config.enabled
    assert [cluster.name for cluster in gke.list_clusters(parent=cloud.at("-")).clusters] == ["judge"]
    assert len(gke.list_operations(parent=parent).operations) >= 8
    cloud.done(gke.delete_node_pool(name=pool))
    cloud.done(gke.delete_cluster(name=name))
    refused(exceptions.NotFound, lambda: gke.get_cluster(name=name))


def discovered_clients(cloud):
    project = cloud.project
    clusters = cloud.discovered("container", "v1").projects().locations().clusters()
    older = cloud.discovered("container", "v1").projects().zones()
    compute = cloud.discovered("compute", "v1", "/compute/v1/")

    def done(operation):
        while operation["status"] != "DONE":
            time.sleep(0.1)
            operation = older.operations().get(
                projectId=project, zone=ZONE, operationId=operation["name"]
            ).execute()

    body = {"cluster": {"name": "older", "initialNodeCount": 1}}
    done(clusters.create(parent=cloud.at(ZONE), body=body).execute())
    cluster = older.clusters().get(projectId=project, zone=ZONE, clusterId="older").execute()
    group = cluster["nodePools"][0]["instanceGroupUrls"][0].split("/")
    manager = compute.instanceGroupManagers().get(
        project=project, zone=group[-3], instanceGroupManager=group[-1]
    )
    assert manager.execute()["targetSize"] == 1
    done(clusters.delete(name=cloud.at(ZONE, "clusters", "older")).execute())
    refused(errors.HttpError, lambda: clusters.get(name=cloud.at(ZONE, "clusters", "older")).execute())

    assert "n2-standard-8" in {
        machine["name"] for machine in compute.machineTypes().list(project=project, zone=ZONE).execute()["items"]
    }
    quotas = {quota["metric"] for quota in compute.regions().get(project=project, region=REGION).execute()["quotas"]}
    assert {"CPUS", "N2_CPUS"} <= quotas
    subnetwork = compute.subnetworks().get(project=project, region=REGION, subnetwork="default").execute()
    assert {"pods", "services"} <= {one["rangeName"] for one in subnetwork["secondaryIpRanges"]}
    projects = cloud.discovered("cloudresourcemanager", "v3").projects()
    assert projects.get(name=f"projects/{project}").execute()["projectId"] == project
    asked = {"permissions": ["container.clusters.create", "compute.instances.delete"]}
    held = projects.testIamPermissions(resource=f"projects/{project}", body=asked).execute()
    assert held == {"permissions": ["container.clusters.create"]}, held
    ring = cloud.at(REGION, "keyRings", "paymesh", "cryptoKeys", "clusters")
    keys = cloud.discovered("cloudkms", "v1").projects().locations().keyRings().cryptoKeys()
    assert keys.get(name=ring).execute()["primary"]["state"] == "ENABLED"


def service_accounts(cloud, card):
    accounts = cloud.discovered("iam", "v1").projects().serviceAccounts()
    name = f"projects/{cloud.project}/serviceAccounts/paymesh-deployer@{cloud.project}.iam.gserviceaccount.com"
    key = accounts.keys().create(name=name, body={}).execute()
    info = json.loads(base64.b64decode(key["privateKeyData"]))
    robot = Cloud(card, info)
    robot.gke.list_clusters(parent=robot.at("-"))
    alone = service_account.Credentials.from_service_account_info(
        info, always_use_jwt_access=True, scopes=["https://www.googleapis.com/auth/cloud-platform"]
    )
    answer = AuthorizedSession(alone).get(f"{cloud.base}/v1/{cloud.at('-')}/clusters")
    assert answer.status_code == 200, answer.text
    made = accounts.create(name=f"projects/{cloud.project}", body={"accountId": "judge-nodes"}).execute()
    accounts.delete(name=made["name"]).execute()


def read(cloud):
    """Prints every cluster: id, version, and its pools by name with their machine types."""
    seen = {}
    for cluster in cloud.gke.list_clusters(parent=cloud.at("-")).clusters:
        seen[cluster.name] = {
            "id": cloud.at(cluster.location, "clusters", cluster.name),
            "version": cluster.current_master_version,
            "pools": {pool.name: pool.config.machine_type for pool in cluster.node_pools},
        }
    print(json.dumps(seen))


def create(cloud):
    """Makes a cluster of one pool, with this client's defaults; prints its id."""
    cluster = container_v1.Cluster(
        name="judged",
        initial_cluster_version="1.34",
        network=f"projects/{cloud.project}/global/networks/default",
        subnetwork=f"projects/{cloud.project}/regions/{REGION}/subnetworks/default",
        ip_allocation_policy={
            "use_ip_aliases": True,
            "cluster_secondary_range_name": "pods",
            "services_secondary_range_name": "services",
        },
        node_pools=[container_v1.NodePool(name="work", initial_node_count=1, config={"machine_type": "n2-standard-4"})],
    )
    operation = cloud.gke.create_cluster(parent=cloud.at(REGION), cluster=cluster)
    limit = time.monotonic() + 60
    while operation.status.name != "DONE":
        assert time.monotonic() < limit, f"still {operation}"
        time.sleep(0.1)
        operation = cloud.gke.get_operation(name=cloud.at(REGION, "operations", operation.name))
    print(json.dumps({"id": cloud.at(REGION, "clusters", "judged")}))


def live(card):
    """The life of a cluster, and what else the clients reach."""
    engineer = Cloud(card, card["google_credentials_file"])
    auditor = Cloud(card, card["google_auditor_credentials_file"])
    for title, act in (
        ("google-cloud-container, REST", lambda: typed_client(engineer)),
        ("googleapiclient, static discovery", lambda: discovered_clients(engineer)),
        ("service account keys", lambda: service_accounts(engineer, card)),
        (
            "a caller without rights",
            lambda: refused(
                exceptions.Forbidden, lambda: auditor.gke.delete_cluster(name=auditor.at(REGION, "clusters", "x"))
            ),
        ),
    ):
        print(title)
        act()
    print("satisfied")


def main(card_file, word="live"):
    with open(card_file, encoding="utf-8") as file:
        card = json.load(file)
    if word == "live":
        live(card)
    else:
        {"read": read, "create": create}[word](Cloud(card, card["google_credentials_file"]))


if __name__ == "__main__":
    main(*sys.argv[1:])
