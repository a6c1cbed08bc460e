//! The one network that every project has from the start, and how clusters attach to it.
//!
//! Nobody made it and nobody can delete it, so it is computed, not stored, and no inventory shows it.

use serde_json::{Value, json};

use super::{
    catalogue::places,
    json::{set, text},
    names::{ClusterName, draw, fingerprint, project_number},
    refusal::Refusal,
};
use crate::core::World;

/// The network's name, and the name of its subnetwork in every region.
pub(crate) const NAME: &str = "default";

/// Secondary ranges of every subnetwork: name, second octet for a region's number, prefix length.
const RANGES: [&str; 4] = ["pods", "services", "pods-2", "services-2"];

/// The network of `project`.
pub(crate) fn network(project: &str) -> Value {
    let subnetworks: Vec<String> = places::regions()
        .map(|region| link(&subnetwork_path(project, region)))
        .collect();
    json!({
        "kind": "compute#network",
        "id": draw(&format!("network {project}"), 9_000_000_000_000_000).to_string(),
        "creationTimestamp": "2026-01-05T09:00:00.000-08:00",
        "name": NAME,
        "description": "The network of the project",
        "selfLink": link(&network_path(project)),
        "autoCreateSubnetworks": false,
        "subnetworks": subnetworks,
        "routingConfig": { "routingMode": "REGIONAL" },
        "networkFirewallPolicyEnforcementOrder": "AFTER_CLASSIC_FIREWALL",
    })
}

/// The subnetwork of `project` in `region`.
pub(crate) fn subnetwork(project: &str, region: &str) -> Option<Value> {
    let number = places::regions().position(|known| known == region)?;
    let cidr = [
        format!("10.{}.0.0/14", 4 + number * 4),
        format!("10.{}.0.0/18", 128 + number),
        format!("10.{}.0.0/15", 160 + number * 2),
        format!("10.{}.64.0/18", 128 + number),
    ];
    let ranges: Vec<Value> = RANGES
        .iter()
        .zip(cidr)
        .map(|(name, cidr)| json!({ "rangeName": name, "ipCidrRange": cidr }))
        .collect();
    let hash = fingerprint(&format!("subnetwork {project} {region}"));
    Some(json!({
        "kind": "compute#subnetwork",
        "id": draw(&hash, 9_000_000_000_000_000).to_string(),
        "creationTimestamp": "2026-01-05T09:00:00.000-08:00",
        "name": NAME,
        "network": link(&network_path(project)),
        "ipCidrRange": format!("10.{}.0.0/20", 200 + number),
        "gatewayAddress": format!("10.{}.0.1", 200 + number),
        "region": link(&format!("projects/{project}/regions/{region}")),
        "selfLink": link(&subnetwork_path(project, region)),
        "privateIpGoogleAccess": true,
        "privateIpv6GoogleAccess": "DISABLE_GOOGLE_ACCESS",
        "purpose": "PRIVATE",
        "stackType": "IPV4_ONLY",
        "fingerprint": format!("{}=", &hash[..11]),
        "secondaryIpRanges": ranges,
    }))
}

fn network_path(project: &str) -> String {
    format!("projects/{project}/global/networks/{NAME}")
}

fn subnetwork_path(project: &str, region: &str) -> String {
    format!("projects/{project}/regions/{region}/subnetworks/{NAME}")
}

/// The full address of a compute object.
pub(crate) fn link(path: &str) -> String {
    format!("https://www.googleapis.com/compute/v1/{path}")
}

/// Finds the cluster's network and ranges, and writes them in every place where clients look.
pub(crate) fn attach(
    world: &World,
    name: &ClusterName,
    cluster: &mut Value,
) -> Result<(), Refusal> {
    let network = relative(text(cluster, "/network"));
    let (project, short) = owner_and_name(&network, &name.project);
    if !super::project::exists(world, &project) || (short != NAME && !short.is_empty()) {
        return Err(Refusal::invalid(format!(
            "Network \"{short}\" does not exist."
        )));
    }
    let subnetwork_name = relative(text(cluster, "/subnetwork"));
    let (subnet_project, short) = owner_and_name(&subnetwork_name, &project);
    let parts: Vec<&str> = subnetwork_name.split('/').collect();
    if let Some(region) = parts
        .iter()
        .position(|part| *part == "regions")
        .and_then(|at| parts.get(at + 1))
        && *region != name.place.region
    {
        return Err(Refusal::invalid(format!(
            "Subnetwork \"{subnetwork_name}\" is not in the region of the cluster, \"{}\".",
            name.place.region
        )));
    }
    let found = subnetwork(&subnet_project, &name.place.region)
        .filter(|_| short.is_empty() || short == NAME)
        .filter(|_| super::project::exists(world, &subnet_project));
    let Some(found) = found else {
        return Err(Refusal::invalid(format!(
            "Subnetwork \"{short}\" does not exist."
        )));
    };
    set(cluster, "network", json!(NAME));
    set(cluster, "subnetwork", json!(NAME));
    set(
        cluster,
        "networkConfig/network",
        json!(network_path(&project)),
    );
    set(
        cluster,
        "networkConfig/subnetwork",
        json!(subnetwork_path(&subnet_project, &name.place.region)),
    );
    attach_ranges(name, &found, cluster)
}

fn attach_ranges(
    name: &ClusterName,
    subnetwork: &Value,
    cluster: &mut Value,
) -> Result<(), Refusal> {
    let range_of = |field: &str, what: &str| -> Result<Option<String>, Refusal> {
        let wanted = text(cluster, &format!("/ipAllocationPolicy/{field}"));
        if wanted.is_empty() {
            return Ok(None);
        }
        let ranges = subnetwork["secondaryIpRanges"].as_array();
        let range = ranges
            .into_iter()
            .flatten()
            .find(|range| range["rangeName"] == wanted);
        match range {
            Some(range) => Ok(Some(text(range, "/ipCidrRange").to_owned())),
            None => Err(Refusal::invalid(format!(
                "{what} secondary range \"{wanted}\" does not exist in network \"{NAME}\", subnetwork \"{NAME}\"."
            ))),
        }
    };
    let pods = range_of("clusterSecondaryRangeName", "Pods")?;
    let services = range_of("servicesSecondaryRangeName", "Services")?;
    for (named, block) in [
        ("clusterSecondaryRangeName", "clusterIpv4CidrBlock"),
        ("servicesSecondaryRangeName", "servicesIpv4CidrBlock"),
    ] {
        let policy = &cluster["ipAllocationPolicy"];
        if policy[named].is_string() && policy[block].is_string() {
            return Err(Refusal::invalid(format!(
                "Only one of {named} and {block} can be set."
            )));
        }
    }
    let pods = pods.or_else(|| given(cluster, "/ipAllocationPolicy/clusterIpv4CidrBlock"));
    let pods = pods.unwrap_or_else(|| format!("10.{}.0.0/14", 76 + draw(&name.key(), 10) * 4));
    let services = services.or_else(|| given(cluster, "/ipAllocationPolicy/servicesIpv4CidrBlock"));
    let services = services.unwrap_or_else(|| "34.118.224.0/20".into());
    for (field, value) in [
        ("clusterIpv4Cidr", &pods),
        ("clusterIpv4CidrBlock", &pods),
        ("servicesIpv4Cidr", &services),
        ("servicesIpv4CidrBlock", &services),
    ] {
        set(
            cluster,
            &format!("ipAllocationPolicy/{field}"),
            json!(value),
        );
    }
    set(
        cluster,
        "ipAllocationPolicy/podCidrOverprovisionConfig",
        json!({}),
    );
    set(cluster, "ipAllocationPolicy/stackType", json!("IPV4"));
    set(cluster, "ipAllocationPolicy/useIpAliases", json!(true));
    set(
        cluster,
        "ipAllocationPolicy/defaultPodIpv4RangeUtilization",
        json!(0.001),
    );
    set(cluster, "clusterIpv4Cidr", json!(pods));
    set(cluster, "servicesIpv4Cidr", json!(services));
    Ok(())
}

fn given(cluster: &Value, pointer: &str) -> Option<String> {
    Some(text(cluster, pointer).to_owned()).filter(|text| text.contains('/') && text.contains('.'))
}

/// `projects/…` of a name, a path or a full address.
fn relative(name: &str) -> String {
    name.find("projects/")
        .map_or(name, |at| &name[at..])
        .to_owned()
}

fn owner_and_name(path: &str, project: &str) -> (String, String) {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["projects", owner, .., short] => {
            let same = *owner == project_number(project).to_string();
            (
                if same { project } else { owner }.to_owned(),
                (*short).to_owned(),
            )
        }
        _ => (project.to_owned(), path.to_owned()),
    }
}
