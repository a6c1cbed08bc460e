//! The separate Azure clouds.

/// One of the Azure clouds; they share no accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sovereign {
    /// Azure, everywhere but below.
    #[default]
    Public,
    /// Azure Government (United States).
    UsGovernment,
    /// Azure operated by 21Vianet (China).
    China,
}

impl Sovereign {
    /// Base of the resource manager.
    pub fn resource_manager(self) -> &'static str {
        match self {
            Self::Public => "https://management.azure.com",
            Self::UsGovernment => "https://management.usgovcloudapi.net",
            Self::China => "https://management.chinacloudapi.cn",
        }
    }

    /// Base of the token issuer.
    pub fn authority(self) -> &'static str {
        match self {
            Self::Public => "https://login.microsoftonline.com",
            Self::UsGovernment => "https://login.microsoftonline.us",
            Self::China => "https://login.chinacloudapi.cn",
        }
    }

    /// The scope of a token for the resource manager.
    pub fn scope(self) -> String {
        format!("{}/.default", self.resource_manager())
    }
}
