//! The settings of payment-api.

use std::net::SocketAddr;

use paymesh_operations::{Settings, SettingsError};

/// What payment-api needs to run.
pub struct Api {
    /// db-controller.
    pub controller: tonic::transport::Endpoint,
    /// Where HTTP is served.
    pub listen: SocketAddr,
}

impl Api {
    /// Reads all of it.
    pub fn read(mut settings: Settings) -> Result<Self, SettingsError> {
        let controller = settings.required("PAYMESH_CONTROLLER_URL", "db-controller, as a URL");
        let listen = settings.required("PAYMESH_LISTEN", "where HTTP is served, as IP:PORT");
        let api = controller
            .zip(listen)
            .map(|(controller, listen)| Self { controller, listen });
        settings.done(api)
    }
}
