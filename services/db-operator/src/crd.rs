//! The custom resource `Database`: what a user writes, and what the operator says of it.
//!
//! What is wrong in one object alone is refused by the API server, by the schema and the rules here.

// The derive repeats each struct inside a function, where nothing can be reached.
#![allow(unreachable_pub)]
// Each column has a type.
#![allow(clippy::duplicated_attributes)]

use std::fmt;

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The API group of everything here.
pub const GROUP: &str = "paymesh.dev";

/// A PostgreSQL database on a server that exists: the database, who owns it, who may do what in it,
/// and a Secret for each of those, whose password is changed without an outage.
#[derive(CustomResource, KubeSchema, Clone, Debug, Deserialize, Serialize, PartialEq)]
#[kube(
    group = "paymesh.dev",
    version = "v1alpha1",
    kind = "Database",
    plural = "databases",
    shortname = "pgdb",
    namespaced,
    status = "DatabaseStatus",
    derive = "PartialEq",
    doc = "A PostgreSQL database on a server that exists, its roles and their credentials.",
    printcolumn(name = "Database", type_ = "string", json_path = ".spec.name"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!self.roles.exists(r, r.name == self.owner || r.name + '_a' == self.owner || r.name + '_b' == self.owner)").message("the owner is nobody's login: give a role of another name the access Owner"))]
pub struct DatabaseSpec {
    /// The name of the database in PostgreSQL.
    #[schemars(regex(pattern = r"^[a-z_][a-z0-9_]*$"), length(max = 63))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("a database is not renamed: make another Database and move the data"))]
    #[x_kube(validation = Rule::new("!(self in ['postgres', 'template0', 'template1'])").message("this database is the server's own"))]
    pub name: String,
    /// The role that owns the database and what is in it. Nobody logs in as it.
    #[schemars(regex(pattern = r"^[a-z_][a-z0-9_]*$"), length(max = 63))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("an owner is not exchanged: what is in the database is its"))]
    #[x_kube(validation = Rule::new("!self.startsWith('pg_')").message("names that start with pg_ are the server's own"))]
    pub owner: String,
    /// Where the server is, and who may make databases on it.
    pub connection: Connection,
    /// Schemas that exist and in which the roles have their access. One that is taken out again
    /// stays.
    #[serde(default = "only_public")]
    #[schemars(
        inner(regex(pattern = r"^[a-z_][a-z0-9_]*$"), length(max = 63)),
        length(min = 1, max = 16)
    )]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub schemas: Vec<String>,
    /// Extensions that exist, of those that the operator was started with. One that is taken out
    /// again stays, because its data would go with it.
    #[serde(default)]
    #[schemars(
        inner(regex(pattern = r"^[a-z_][a-z0-9_-]*$"), length(max = 63)),
        length(max = 32)
    )]
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    pub extensions: Vec<String>,
    /// Who may do what. One that is taken out loses its logins and its Secret.
    #[serde(default)]
    #[schemars(length(max = 16))]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    #[x_kube(validation = Rule::new("self.all(r, self.exists_one(other, other.secretName == r.secretName))").message("each role has a Secret of its own"))]
    #[x_kube(validation = Rule::new("self.all(r, !self.exists(other, other.name == r.name + '_a' || other.name == r.name + '_b'))").message("NAME_a and NAME_b are the logins of the role NAME"))]
    pub roles: Vec<RoleSpec>,
    /// When passwords are changed.
    #[serde(default)]
    pub rotation: Rotation,
    /// What becomes of the database when this object is deleted.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

fn only_public() -> Vec<String> {
    vec!["public".to_owned()]
}

/// Where a server is.
#[derive(KubeSchema, Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// Its name or address, one that stays when a standby takes over.
    #[schemars(
        regex(pattern = r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$"),
        length(max = 253)
    )]
    #[x_kube(validation = Rule::new("self == oldSelf").message("another server is another database: make another Database and move the data"))]
    pub host: String,
    /// Its port.
    #[serde(default = "postgres_port")]
    #[schemars(range(min = 1, max = 65535))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("another server is another database: make another Database and move the data"))]
    pub port: u16,
    /// Whether the connection is encrypted and the server known by its certificate.
    #[serde(default)]
    pub ssl_mode: SslMode,
    /// The Secret with the administrator's `username` and `password`, and with `ca.crt`, the
    /// authority of the server's certificate.
    #[schemars(
        regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"),
        length(max = 253)
    )]
    pub secret_name: String,
    /// The database that the administrator connects to first.
    #[serde(default = "postgres_database")]
    #[schemars(regex(pattern = r"^[a-z_][a-z0-9_]*$"), length(max = 63))]
    pub database: String,
}

fn postgres_port() -> u16 {
    5432
}

fn postgres_database() -> String {
    "postgres".to_owned()
}

/// How a connection is protected.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum SslMode {
    /// Encrypted, and the server's certificate is of its name and of the authority in `ca.crt`.
    #[default]
    VerifyFull,
    /// Not at all: for a server on the same machine.
    Disable,
}

/// Who may do what.
#[derive(KubeSchema, Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RoleSpec {
    /// The role that has the privileges. Its two logins are `NAME_a` and `NAME_b`, of which one is in
    /// the Secret; both act as this role.
    #[schemars(regex(pattern = r"^[a-z_][a-z0-9_]*$"), length(max = 61))]
    #[x_kube(validation = Rule::new("!self.startsWith('pg_')").message("names that start with pg_ are the server's own"))]
    pub name: String,
    /// What it may do.
    pub access: Access,
    /// The Secret with the login, its password and where to connect. Others' Secrets are never
    /// written over.
    #[schemars(
        regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"),
        length(max = 253)
    )]
    pub secret_name: String,
}

/// What a role may do in the schemas of the database.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum Access {
    /// To connect; what more it may do is said by the migrations of the database.
    Connect,
    /// To read tables and sequences.
    ReadOnly,
    /// To read and to add, never to change or to delete: a ledger's access.
    AppendOnly,
    /// To read, add, change and delete rows.
    ReadWrite,
    /// Everything, as the owner: for migrations.
    Owner,
}

/// When passwords are changed.
#[derive(KubeSchema, Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Rotation {
    /// So long after the last change, as `720h` or `30m`; never, if it is left out. Connections of
    /// the login before last end then: it has to be longer than a program keeps its connections.
    #[schemars(regex(pattern = r"^([0-9]{1,6}[smh]){1,3}$"), length(max = 24))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// Another number changes every password now.
    #[serde(default)]
    pub revision: i64,
}

impl Rotation {
    /// The interval, if there is one.
    pub fn after(&self) -> Option<SignedDuration> {
        self.interval.as_ref()?.parse().ok()
    }
}

/// What becomes of the database when its object is deleted.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, JsonSchema)]
pub enum DeletionPolicy {
    /// The data stays, access ends: the database, its owner and its roles stay; logins and Secrets
    /// go.
    #[default]
    Retain,
    /// Everything goes, the data too.
    Delete,
    /// Everything stays, logins and Secrets too, and nobody changes passwords any more.
    Orphan,
}

impl fmt::Display for DeletionPolicy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, out)
    }
}

/// What the operator says of a database.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatabaseStatus {
    /// The generation that the rest speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// `Ready`, and what it consists of; each says what is wrong and what to do.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["type"]))]
    pub conditions: Vec<Condition>,
    /// Which login of each role is in its Secret. A mirror: what counts is in the Secret.
    #[serde(default)]
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    pub roles: Vec<RoleStatus>,
}

/// Which login of a role is in its Secret.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RoleStatus {
    /// The role.
    pub name: String,
    /// Its Secret.
    pub secret_name: String,
    /// The login in it.
    pub login: String,
    /// When its password was made.
    pub last_rotation_time: Time,
}
