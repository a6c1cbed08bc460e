//! ARM resource ids: case-preserving, compared without case.

use std::{fmt, hash};

/// The id of an ARM resource or resource group, as the cloud or the user spelled it.
#[derive(Clone, Debug)]
pub struct ArmId(String);

/// Why a text is no ARM id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadId {
    /// The text.
    pub text: String,
}

impl ArmId {
    /// Reads an id like `/subscriptions/S/resourceGroups/G/providers/Microsoft.X/type/name`.
    pub fn parse(text: &str) -> Result<Self, BadId> {
        let bad = || BadId {
            text: text.to_owned(),
        };
        let id = Self(text.trim_end_matches('/').to_owned());
        let parts: Vec<_> = id.0.split('/').skip(1).collect();
        let whole = id.0.starts_with('/') && parts.iter().all(|it| !it.is_empty());
        let named = id.subscription().is_some() && parts.len() % 2 == 0;
        if whole && named { Ok(id) } else { Err(bad()) }
    }

    /// The resource group `name`.
    pub fn group(subscription: &str, name: &str) -> Self {
        Self(format!(
            "/subscriptions/{subscription}/resourceGroups/{name}"
        ))
    }

    /// The resource `name` of `kind` (`Microsoft.X/type`) in this resource group.
    #[must_use]
    pub fn resource(&self, kind: &str, name: &str) -> Self {
        Self(format!("{self}/providers/{kind}/{name}"))
    }

    /// The child `name` of `kind` (`agentPools`) of this resource.
    #[must_use]
    pub fn child(&self, kind: &str, name: &str) -> Self {
        Self(format!("{self}/{kind}/{name}"))
    }

    /// The managed cluster `name` in this resource group.
    #[must_use]
    pub fn cluster(&self, name: &str) -> Self {
        self.resource("Microsoft.ContainerService/managedClusters", name)
    }

    /// The id as spelled.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// One spelling for all: lower case.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// The last part.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// What this is a child of: the network of a subnet.
    pub fn parent(&self) -> Option<Self> {
        let (rest, _name) = self.as_str().rsplit_once('/')?;
        let (parent, _kind) = rest.rsplit_once('/')?;
        Self::parse(parent).ok()
    }

    /// Its provider's namespace: `Microsoft.Network`.
    pub fn namespace(&self) -> Option<&str> {
        self.after("providers")
    }

    /// The subscription.
    pub fn subscription(&self) -> Option<&str> {
        self.after("subscriptions")
    }

    /// The resource group's name.
    pub fn group_name(&self) -> Option<&str> {
        self.after("resourceGroups")
    }

    /// The id of the resource group this resource lies in.
    pub fn group_id(&self) -> Option<Self> {
        Some(Self::group(self.subscription()?, self.group_name()?))
    }

    /// The part that follows the part `word`.
    pub fn after(&self, word: &str) -> Option<&str> {
        let mut parts = self.0.split('/');
        parts.find(|it| it.eq_ignore_ascii_case(word))?;
        parts.next().filter(|it| !it.is_empty())
    }
}

impl PartialEq for ArmId {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for ArmId {}

impl hash::Hash for ArmId {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.folded().hash(state);
    }
}

impl fmt::Display for ArmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for BadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no Azure resource id; one looks like \
             /subscriptions/…/resourceGroups/…/providers/Microsoft.ContainerService/\
             managedClusters/…",
            self.text
        )
    }
}

impl std::error::Error for BadId {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_equal_without_case_and_keep_their_spelling() {
        let ours = ArmId::group("s", "Rg").cluster("pay");
        let theirs = ArmId::parse(
            "/subscriptions/s/resourcegroups/RG/providers/Microsoft.ContainerService/ManagedClusters/PAY",
        )
        .unwrap();
        assert_eq!(ours, theirs);
        assert_eq!((theirs.name(), theirs.group_name()), ("PAY", Some("RG")));
        assert_eq!(theirs.group_id(), Some(ArmId::group("S", "rg")));
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for bad in [
            "",
            "pay",
            "/subscriptions/",
            "/subscriptions/s/resourceGroups",
            "/a//b/c",
        ] {
            assert!(ArmId::parse(bad).is_err(), "{bad}");
        }
    }
}
