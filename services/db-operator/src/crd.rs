//! The custom resource `Database`: what a user writes, and what the operator says of it.
//!
//! What is wrong in one object alone is refused by the API server, by the schema and the rules here.

// The derive repeats each struct inside a function, where nothing can be reached.
#![allow(unreachable_pub)]
// Each column has a type.
#![allow(clippy::duplicated_attributes)]

use std::{fmt, time::Duration};

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
    #[x_kube(validation = Rule::new("!(self in ['postgres', 'template0', 'template1', 'paymesh_operator'])").message("this database is the server's own, or the operator's"))]
    pub name: String,
    /// The role that owns the database and what is in it. Nobody logs in as it.
    #[schemars(regex(pattern = r"^[a-z_][a-z0-9_]*$"), length(max = 63))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("an owner is not exchanged: what is in the database is its"))]
    #[x_kube(validation = Rule::new("!self.startsWith('pg_')").message("names that start with pg_ are the server's own"))]
    #[x_kube(validation = Rule::new("!(self in ['public', 'none'])").message("to PostgreSQL public is everybody and none is nobody"))]
    pub owner: String,
    /// Which server.
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

/// Which server.
#[derive(KubeSchema, Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Connection {
    /// The Secret that says where the server is, how it is known, and who makes databases on it:
    /// `host`, `port`, `sslmode`, `ca.crt`, `database`, `username` and `password`. It bears the label
    /// `paymesh.dev/database-server: "true"`.
    #[schemars(
        regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"),
        length(max = 253)
    )]
    #[x_kube(validation = Rule::new("self == oldSelf").message("another server is another database: make another Database and move the data"))]
    pub secret_name: String,
}

/// Who may do what.
#[derive(KubeSchema, Clone, Debug, Deserialize, Serialize, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RoleSpec {
    /// The role that has the privileges. Its two logins are `NAME_a` and `NAME_b`, of which one is in
    /// the Secret; both act as this role.
    #[schemars(regex(pattern = r"^[a-z_][a-z0-9_]*$"), length(max = 61))]
    #[x_kube(validation = Rule::new("!self.startsWith('pg_')").message("names that start with pg_ are the server's own"))]
    #[x_kube(validation = Rule::new("!(self in ['public', 'none'])").message("to PostgreSQL public is everybody and none is nobody"))]
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
    /// So long after the last change, as `720h` or `1h30m`, five minutes or more; never, if it is left
    /// out. Connections of the login before last end then: it has to be longer than a program keeps
    /// its connections.
    #[schemars(
        regex(pattern = r"^([0-9]+h)?([0-9]+m)?([0-9]+s)?$"),
        length(min = 2, max = 24)
    )]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// Another number changes every password now.
    #[serde(default)]
    pub revision: i64,
}

impl Rotation {
    /// The interval, if there is one; else what is wrong with it.
    pub fn after(&self, min: Duration) -> Result<Option<SignedDuration>, String> {
        let Some(text) = &self.interval else {
            return Ok(None);
        };
        let interval: SignedDuration = text
            .parse()
            .map_err(|reason| format!("rotation.interval {text} is no time: {reason}"))?;
        if SignedDuration::try_from(min).is_ok_and(|min| interval < min) {
            let min = min.as_secs();
            return Err(format!(
                "rotation.interval {text} is too short: at least {min} seconds, and longer than a program keeps its connections"
            ));
        }
        Ok(Some(interval))
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
    /// When the database was first seen, or made anew. One that is missing after that is not made
    /// again before a person says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_since: Option<Time>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_that_is_no_time_or_too_short_is_said_and_never_passed_over() {
        let after = |text: &str| {
            let rotation = Rotation {
                interval: Some(text.to_owned()),
                revision: 0,
            };
            rotation.after(Duration::from_mins(5))
        };
        let seconds = |text| after(text).map(|after| after.unwrap().as_secs());
        assert_eq!(seconds("720h"), Ok(2_592_000));
        assert_eq!(seconds("1h30m5s"), Ok(5_405));
        assert_eq!(seconds("300s"), Ok(300));
        assert!(after("299s").unwrap_err().contains("at least 300 seconds"));
        for text in ["99999999999999999999h", "soon", "1s1h"] {
            assert!(after(text).unwrap_err().contains("is no time"), "{text}");
        }
    }
}
