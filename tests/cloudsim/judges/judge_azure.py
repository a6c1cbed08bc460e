"""Drives a running simulated cloud with Microsoft's own Python clients, unmodified.

Usage: judge_azure.py SIMULATOR_FILE [read|create]. Without a word it goes through the life of a
cluster; `read` prints every cluster as the client sees it, `create` makes one and leaves it. Exits
with 1 at the first disagreement: when a client disagrees with the simulator, the client is right.
"""

import base64
import json
import os
import sys
import uuid

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.mgmt.authorization import AuthorizationManagementClient
from azure.mgmt.authorization.models import RoleAssignmentCreateParameters
from azure.mgmt.containerservice import ContainerServiceClient
from azure.mgmt.msi import ManagedServiceIdentityClient
from azure.mgmt.resource.resources import ResourceManagementClient

GROUP, CLUSTER, POOL = "judged", "judged", "work"
WANTED = {
    "location": "westeurope", "identity": {"type": "SystemAssigned"}, "tags": {"team": "payments"},
    "properties": {
        "dnsPrefix": "judged", "kubernetesVersion": "1.34",
        "agentPoolProfiles": [{"name": "system", "mode": "System", "count": 1, "vmSize": "Standard_D2s_v5"}],
    },
}


class Clients:
    """The clients, signed in to the simulated cloud of `card_file`."""

    def __init__(self, card_file):
        card = json.load(open(card_file))
        os.environ["REQUESTS_CA_BUNDLE"] = card["ca"]
        credential = ClientSecretCredential(
            card["tenant_id"], card["client_id"], open(card["client_secret_file"]).read().strip(),
            authority=card["azure"].removeprefix("https://"), disable_instance_discovery=True,
            connection_verify=card["ca"],
        )
        common = dict(
            base_url=card["azure"], credential_scopes=["https://management.azure.com/.default"],
            connection_verify=card["ca"], polling_interval=0.05,
        )
        self.subscription = card["subscription_ids"][0]
        self.groups = ResourceManagementClient(credential, self.subscription, **common)
        self.aks = ContainerServiceClient(credential, self.subscription, **common)
        self.identities = ManagedServiceIdentityClient(credential, self.subscription, **common)
        self.roles = AuthorizationManagementClient(credential, self.subscription, **common)


def read(clients):
    """Prints every cluster: id, version, and its pools by name with their node counts."""
    seen = {}
    for cluster in clients.aks.managed_clusters.list():
        group = cluster.id.split("/")[4]
        pools = clients.aks.agent_pools.list(group, cluster.name)
        seen[cluster.name] = {
            "id": cluster.id, "version": cluster.properties.current_kubernetes_version,
            "pools": {pool.name: pool.properties.count for pool in pools},
        }
    print(json.dumps(seen))


def create(clients):
    """Makes a group and a cluster of one pool, with this client's defaults; prints its id."""
    clients.groups.resource_groups.create_or_update(GROUP, {"location": "westeurope"})
    cluster = clients.aks.managed_clusters.begin_create_or_update(GROUP, CLUSTER, WANTED).result(60)
    print(json.dumps({"id": cluster.id}))


def live(clients):
    """The life of a cluster."""
    subscription, groups, aks = clients.subscription, clients.groups, clients.aks
    identities, roles = clients.identities, clients.roles
    step("resource group")
    group = groups.resource_groups.create_or_update(GROUP, {"location": "westeurope", "tags": {"a": "b"}})
    assert group.properties.provisioning_state == "Succeeded"
    assert groups.resource_groups.check_existence(GROUP)

    step("identity and role")
    identity = identities.user_assigned_identities.create_or_update(GROUP, "judged", {"location": "westeurope"})
    subnet = (f"/subscriptions/{subscription}/resourceGroups/shared/providers/Microsoft.Network"
              "/virtualNetworks/westeurope/subnets/aks-3")
    role = f"/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/4d97b98b-1d4f-4787-a291-c67834d212e7"
    name = str(uuid.uuid5(uuid.NAMESPACE_URL, subnet))
    roles.role_assignments.create(subnet, name, RoleAssignmentCreateParameters(
        role_definition_id=role, principal_id=identity.principal_id, principal_type="ServicePrincipal"))
    assert any(one.name == name for one in roles.role_assignments.list_for_scope(subnet))

    step("cluster: create")
    cluster = aks.managed_clusters.begin_create_or_update(GROUP, CLUSTER, WANTED).result(60)
    assert cluster.properties.provisioning_state == "Succeeded", cluster.properties.provisioning_state
    assert cluster.properties.fqdn.endswith(".hcp.westeurope.azmk8s.io")
    assert [one.name for one in aks.managed_clusters.list()] == [CLUSTER]
    assert [one.name for one in aks.managed_clusters.list_by_resource_group(GROUP)] == [CLUSTER]

    step("credentials")
    config = aks.managed_clusters.list_cluster_user_credentials(GROUP, CLUSTER).kubeconfigs[0]
    assert b"azmk8s.io" in bytes(config.value)
    assert aks.managed_clusters.get_upgrade_profile(GROUP, CLUSTER).properties.control_plane_profile.kubernetes_version == "1.34.5"
    assert any(one.version == "1.35" for one in aks.managed_clusters.list_kubernetes_versions("westeurope").values_property)

    step("pool: create, scale, upgrade profile, delete")
    wanted_pool = {"properties": {"count": 1, "vmSize": "Standard_D2s_v5", "mode": "User"}}
    pool = quiet(lambda: aks.agent_pools.begin_create_or_update(GROUP, CLUSTER, POOL, wanted_pool))
    assert pool.properties.count == 1
    wanted_pool["properties"]["count"] = 3
    pool = quiet(lambda: aks.agent_pools.begin_create_or_update(GROUP, CLUSTER, POOL, wanted_pool))
    assert pool.properties.count == 3
    assert sorted(one.name for one in aks.agent_pools.list(GROUP, CLUSTER)) == ["system", POOL]
    aks.agent_pools.get_upgrade_profile(GROUP, CLUSTER, POOL)
    quiet(lambda: aks.agent_pools.begin_upgrade_node_image_version(GROUP, CLUSTER, POOL))
    quiet(lambda: aks.agent_pools.begin_delete(GROUP, CLUSTER, POOL))

    step("cluster: tags, stop, start, maintenance")
    quiet(lambda: aks.managed_clusters.begin_update_tags(GROUP, CLUSTER, {"tags": {"team": "ledger"}}))
    quiet(lambda: aks.managed_clusters.begin_stop(GROUP, CLUSTER))
    quiet(lambda: aks.managed_clusters.begin_start(GROUP, CLUSTER))
    aks.maintenance_configurations.create_or_update(GROUP, CLUSTER, "default", {"properties": {"timeInWeek": [{"day": "Sunday", "hourSlots": [1]}]}})
    assert [one.name for one in aks.maintenance_configurations.list_by_managed_cluster(GROUP, CLUSTER)] == ["default"]

    step("errors as the client sees them")
    refused(ResourceNotFoundError, "ResourceNotFound", lambda: aks.managed_clusters.get(GROUP, "nobody"))
    refused(HttpResponseError, None, lambda: aks.agent_pools.begin_create_or_update(GROUP, CLUSTER, "BAD", wanted_pool))

    step("delete")
    quiet(lambda: aks.managed_clusters.begin_delete(GROUP, CLUSTER))
    refused(ResourceNotFoundError, "ResourceNotFound", lambda: aks.managed_clusters.get(GROUP, CLUSTER))
    roles.role_assignments.delete(subnet, name)
    groups.resource_groups.begin_delete(GROUP, polling_interval=0.05).result(60)
    assert not groups.resource_groups.check_existence(GROUP)
    print("azure: the clients agree")


def step(words):
    print(f"azure: {words}", flush=True)


def quiet(begin):
    """Begins an operation and waits for it; waits its turn while the service itself is busy."""
    for _ in range(100):
        try:
            return begin().result(60)
        except (ResourceExistsError, HttpResponseError) as error:
            if error.status_code != 409:
                raise
    raise SystemExit("azure: the cluster stays busy")


def refused(kind, code, ask):
    try:
        ask()
    except kind as error:
        assert code is None or error.error.code == code, error
        return
    raise SystemExit(f"azure: {kind.__name__} was expected")


if __name__ == "__main__":
    {"live": live, "read": read, "create": create}[(sys.argv[2:] or ["live"])[0]](Clients(sys.argv[1]))
