//! The procedures that are cut: create, scale, upgrade, rotations, switching off, delete, three ways
//! to replace one cluster, and the first apply after an import.

use std::fmt::{self, Write as _};

use paymesh_acceptance::Cloud;
use serde_json::{Value, json};

/// A version that is written as it should be, and that no cloud offers.
const NOT_OFFERED: &str = "1.99";

/// A cloud, as the simulator's journal names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Api {
    /// Azure.
    Azure,
    /// Google Cloud.
    Google,
}

/// What is done to a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Procedure {
    /// From nothing.
    Create,
    /// A pool's limits change in place.
    Scale,
    /// Control plane and pools go up by a minor version.
    Upgrade,
    /// A pool is replaced by one of another machine type.
    Rotation,
    /// Both pools are replaced by ones with larger disks.
    Rotations,
    /// From nothing, and switched off at the end.
    CreateOff,
    /// A pool's limits change in place, and the cluster is switched off.
    Off,
    /// To nothing.
    Delete,
    /// `-replace`: to nothing, and from nothing.
    Replace,
    /// The same because the entry in the state is tainted.
    Taint,
    /// `-replace` with `create_before_destroy`: the new entry adopts, the old one only forgets.
    CreateFirst,
    /// A cluster without a mark was imported: it is taken over, and a pool's limits change.
    Import,
}

/// A procedure on a cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scenario {
    /// What is done.
    pub procedure: Procedure,
    /// Where.
    pub api: Api,
}

impl Api {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Azure, Self::Google];

    /// No other.
    pub(crate) fn alone(self) -> &'static [Self] {
        match self {
            Self::Azure => &[Self::Azure],
            Self::Google => &[Self::Google],
        }
    }

    /// The attributes of a cluster that was made and not touched since.
    pub fn made(self) -> Value {
        let pools = json!({
            "system": { "mode": "system", "vcpu": 4, "memory_gb": 16, "min_nodes": 3, "max_nodes": 6 },
            "work": { "vcpu": 4, "memory_gb": 16, "min_nodes": 3, "max_nodes": 6 },
        });
        let mut cluster = json!({
            "name": "pay-crash",
            "region": "westeurope",
            "kubernetes_version": "1.33",
            "deletion_protection": false,
            "node_pools": pools,
        });
        match self {
            Self::Azure => cluster["azure"] = json!({}),
            Self::Google => {
                cluster["region"] = "europe-west1".into();
                cluster["google"] = json!({});
                cluster["network"] = json!({
                    "subnet_id": "projects/paymesh-hub/regions/europe-west1/subnetworks/default",
                    "pods_range": "pods",
                    "services_range": "services",
                });
            }
        }
        cluster
    }
}

impl Procedure {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Create,
        Self::Scale,
        Self::Upgrade,
        Self::Rotation,
        Self::Rotations,
        Self::CreateOff,
        Self::Off,
        Self::Delete,
        Self::Replace,
        Self::Taint,
        Self::CreateFirst,
        Self::Import,
    ];

    /// Whether nothing exists before it; all others begin with what [`Self::Create`] made.
    pub(crate) fn makes_cluster(self) -> bool {
        matches!(self, Self::Create | Self::CreateOff)
    }

    /// Whether a recovery replaces once more what a cut run was replacing: a tainted entry is tainted
    /// until an apply has come to its end.
    pub(crate) fn begins_anew(self) -> bool {
        self == Self::Taint
    }

    /// Whether the entry that a cut run left in the state may be of the cluster before, so that a
    /// destroy only forgets it, and asks nobody.
    pub(crate) fn may_be_overtaken(self) -> bool {
        matches!(self, Self::Replace | Self::Taint | Self::CreateFirst)
    }

    /// Whether preflight can refuse what it left, and say how to destroy it. What was imported is
    /// protected until an apply, which would be refused.
    pub(crate) fn can_be_refused(self) -> bool {
        self != Self::Import
    }
}

impl Scenario {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        Procedure::ALL
            .into_iter()
            .flat_map(|procedure| Api::ALL.map(|api| Self { procedure, api }))
    }

    /// What is wanted after.
    pub fn after(self) -> Option<Value> {
        let mut cluster = self.api.made();
        match self.procedure {
            Procedure::Create | Procedure::Replace | Procedure::Taint | Procedure::CreateFirst => {}
            Procedure::Scale | Procedure::Import => {
                cluster["node_pools"]["work"]["max_nodes"] = 9.into();
            }
            Procedure::Upgrade => cluster["kubernetes_version"] = "1.34".into(),
            Procedure::Rotation => {
                cluster["node_pools"]["work"]["vcpu"] = 8.into();
                cluster["node_pools"]["work"]["memory_gb"] = 32.into();
            }
            Procedure::Rotations => {
                for pool in ["system", "work"] {
                    cluster["node_pools"][pool]["disk_gb"] = 200.into();
                }
            }
            Procedure::CreateOff => cluster["power"] = "off".into(),
            Procedure::Off => {
                cluster["power"] = "off".into();
                cluster["node_pools"]["work"]["max_nodes"] = 9.into();
            }
            Procedure::Delete => return None,
        }
        Some(cluster)
    }

    /// The attributes in the configuration during the procedure.
    pub fn wanted(self) -> Value {
        self.after().unwrap_or_else(|| self.api.made())
    }

    /// The same, but for something that no cloud offers.
    pub(crate) fn refused(self) -> Value {
        let mut cluster = self.wanted();
        cluster["kubernetes_version"] = NOT_OFFERED.into();
        cluster
    }
}

/// Takes the marks off the only cluster on a cloud; the id by which it can be imported.
pub(crate) fn unmarked(cloud: &Cloud, api: Api) -> String {
    let (prefix, somebody) = match api {
        Api::Azure => ("", cloud.azure()),
        Api::Google => ("/v1/", cloud.google()),
    };
    let id = clusters(cloud, api).remove(0);
    somebody.strip_marks(&format!("{prefix}{id}"));
    id
}

/// The clusters on a cloud.
pub(crate) fn clusters(cloud: &Cloud, api: Api) -> Vec<String> {
    cloud.all(match api {
        Api::Azure => "managedClusters",
        Api::Google => "Cluster",
    })
}

/// The address of the cluster on a cloud.
pub(crate) fn address(api: Api) -> String {
    format!("paymesh_cluster.{api}")
}

/// The configuration during a procedure: a cluster on each of these clouds, with the condition that
/// the documentation recommends. Each value is JSON, which Terraform's language understands.
pub(crate) fn configuration(procedure: Procedure, clouds: &[Api]) -> String {
    configured(procedure, clouds, Scenario::wanted)
}

/// The same, as preflight refuses it.
pub(crate) fn refused(procedure: Procedure, clouds: &[Api]) -> String {
    configured(procedure, clouds, Scenario::refused)
}

fn configured(
    procedure: Procedure,
    clouds: &[Api],
    attributes_of: impl Fn(Scenario) -> Value,
) -> String {
    let creates_first = procedure == Procedure::CreateFirst;
    let mut text = "terraform {\n  backend \"http\" {}\n}\n".to_owned();
    for &api in clouds {
        let mut attributes = String::new();
        let cluster = attributes_of(Scenario { procedure, api });
        for (name, value) in cluster.as_object().into_iter().flatten() {
            let _ = writeln!(attributes, "  {name} = {value}");
        }
        let _ = write!(
            text,
            r#"resource "paymesh_cluster" "{api}" {{
{attributes}  lifecycle {{
    create_before_destroy = {creates_first}
    postcondition {{
      condition     = self.status == "Ready"
      error_message = "The cluster is not ready yet."
    }}
  }}
}}
"#
        );
    }
    text
}

/// A procedure on these clouds, in words.
pub(crate) fn on(procedure: Procedure, clouds: &[Api]) -> String {
    let clouds: Vec<String> = clouds.iter().map(ToString::to_string).collect();
    format!("{procedure} on {}", clouds.join(" and "))
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Azure => "azure",
            Self::Google => "google",
        })
    }
}

impl fmt::Display for Procedure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Scale => "scale",
            Self::Upgrade => "upgrade",
            Self::Rotation => "rotation",
            Self::Rotations => "rotation of both pools",
            Self::CreateOff => "create, off",
            Self::Off => "scale, off",
            Self::Delete => "delete",
            Self::Replace => "replace",
            Self::Taint => "taint",
            Self::CreateFirst => "create_before_destroy",
            Self::Import => "scale after an import",
        })
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.procedure, self.api)
    }
}
