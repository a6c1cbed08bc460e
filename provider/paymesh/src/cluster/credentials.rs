//! Ephemeral resource `paymesh_cluster_credentials`: how to sign in to a cluster, in no state.

use async_trait::async_trait;
use paymesh_azure::ArmId;
use paymesh_google::ClusterName;
use paymesh_plugin::{
    call::Call,
    ephemeral::{EphemeralResource, Lease, Opened},
    findings::Findings,
    path::Path,
    spec::{Sensitive, Spec, Status},
};

use super::{azure, google, lookup};
use crate::{
    codes::{self, refuse},
    session::Session,
};

/// Address, certificate authority and a short-lived token of a cluster, for providers that talk to
/// it. Nothing of it is in a plan or a state.
///
/// The token is that of the identity that runs Terraform: an Entra token for AKS, a Google access
/// token for GKE. It lasts about an hour, and what it may do is what the cluster's roles say.
#[derive(Clone, Debug, PartialEq, Spec)]
#[spec(name = "paymesh_cluster_credentials", status = CredentialsStatus)]
pub struct CredentialsSpec {
    /// Identifier of the cluster in the cloud: `paymesh_cluster.NAME.id`.
    #[attr(check = non_empty())]
    pub cluster_id: String,
}

/// How to sign in.
#[derive(Clone, Debug, PartialEq, Status)]
pub struct CredentialsStatus {
    /// Address of the API server.
    pub endpoint: String,
    /// Certificate authority of the API server, in PEM.
    pub ca_certificate: Option<String>,
    /// Bearer token.
    pub token: Sensitive<String>,
}

/// The ephemeral resource `paymesh_cluster_credentials`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Credentials;

#[async_trait]
impl EphemeralResource for Credentials {
    type Spec = CredentialsSpec;
    type Session = Session;

    async fn open(
        &self,
        call: Call<Session>,
        spec: CredentialsSpec,
        found: &mut Findings,
    ) -> Option<Opened<CredentialsStatus>> {
        let id = spec.cluster_id;
        let cluster = lookup::look_up(&call, &id, found).await?;
        let Some(endpoint) = cluster.endpoint else {
            refuse(
                found,
                Path::root().attribute("cluster_id"),
                &codes::CLUSTER_HAS_NO_ADDRESS,
                format!("{id} is not ready, or it is stopped"),
            );
            return None;
        };
        let token = if ClusterName::parse(&id).is_ok() {
            google::token(&call, found).await?
        } else if ArmId::parse(&id).is_ok() {
            azure::token(&call, found).await?
        } else {
            return None;
        };
        Some(Opened {
            status: CredentialsStatus {
                endpoint,
                ca_certificate: cluster.ca_certificate,
                token: Sensitive(token.reveal().to_owned()),
            },
            lease: Lease::default(),
        })
    }
}
