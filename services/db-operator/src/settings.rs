//! The settings of the operator.

use std::{net::SocketAddr, time::Duration};

use paymesh_operations::{Settings, SettingsError};

/// What can be had without a superuser, and what a payment platform uses.
const EXTENSIONS: &str = "btree_gin,btree_gist,citext,hstore,intarray,ltree,pg_trgm,pgcrypto,tablefunc,unaccent,uuid-ossp";

/// What the operator needs to run.
pub struct Operator {
    /// Where the objects, their Secrets and the lease are.
    pub namespace: String,
    /// Where health and metrics are served.
    pub health: SocketAddr,
    /// Extensions that may be asked for.
    pub extensions: Vec<String>,
    /// How long until what is as it should be is looked at again.
    pub resync: Duration,
    /// How long until the first new try after a failure.
    pub retry: Duration,
    /// How long a server may work on a statement.
    pub statement_max: Duration,
    /// How long a run may take.
    pub run_max: Duration,
    /// The shortest time between two rotations.
    pub rotation_min: Duration,
    /// How long a lease holds that is not renewed.
    pub lease_time: Duration,
    /// The lease of those of whom one leads.
    pub lease_name: String,
}

impl Operator {
    /// Reads all of it.
    pub fn read(mut settings: Settings) -> Result<Self, SettingsError> {
        let namespace = settings.required(
            "PAYMESH_NAMESPACE",
            "the namespace whose Database objects are looked after",
        );
        let health = settings.required(
            "PAYMESH_HEALTH_LISTEN",
            "where health and metrics are served, as IP:PORT",
        );
        let extensions: String = settings.optional(
            "PAYMESH_EXTENSIONS",
            "extensions that may be asked for, parted by commas",
            EXTENSIONS.to_owned(),
        );
        let resync = settings.milliseconds(
            "PAYMESH_RESYNC_MS",
            "how long until what is as it should be is looked at again, in milliseconds",
            60_000,
        );
        let retry = settings.milliseconds(
            "PAYMESH_RETRY_MS",
            "how long until the first new try after a failure, in milliseconds",
            1_000,
        );
        let statement_max = settings.milliseconds(
            "PAYMESH_STATEMENT_MS",
            "how long a server may work on a statement, in milliseconds",
            60_000,
        );
        let run_max = settings.milliseconds(
            "PAYMESH_RUN_MS",
            "how long a run for one object may take, in milliseconds",
            600_000,
        );
        let rotation_min = settings.milliseconds(
            "PAYMESH_ROTATION_MIN_MS",
            "the shortest interval of rotation that is taken, in milliseconds",
            300_000,
        );
        let lease_time = settings.milliseconds(
            "PAYMESH_LEASE_MS",
            "how long a lease holds that is not renewed, in milliseconds",
            15_000,
        );
        let lease_name = settings.optional(
            "PAYMESH_LEASE_NAME",
            "the lease of those of whom one leads",
            "paymesh-db-operator".to_owned(),
        );
        let operator = (|| {
            Some(Self {
                namespace: namespace?,
                health: health?,
                extensions: extensions
                    .split(',')
                    .map(|it| it.trim().to_owned())
                    .collect(),
                resync,
                retry,
                statement_max,
                run_max,
                rotation_min,
                lease_time,
                lease_name,
            })
        })();
        settings.done(operator)
    }
}
