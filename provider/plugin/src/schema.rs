//! What a provider declares about its values, as it goes over the wire.
//!
//! Flags that Terraform keeps as free booleans are one [`Presence`] here, so that the mixes which
//! core refuses cannot be written. There are no blocks: nested attributes say the same at every
//! depth.

use std::collections::BTreeMap;

/// The attributes of one kind of object, with a version that grows when old state needs upgrading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schema {
    /// Version of the stored state, 0 for data sources and the provider itself.
    pub version: u64,
    /// What it is, in Markdown.
    pub description: String,
    /// Why and in favour of what it should no longer be used.
    pub deprecation: Option<String>,
    /// Its attributes, in the order of the documentation.
    pub attributes: Vec<Attribute>,
}

/// One attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Name in HCL.
    pub name: String,
    /// What values it takes.
    pub kind: AttributeType,
    /// Who sets it.
    pub presence: Presence,
    /// Whether its value is hidden in plans and logs.
    pub sensitive: bool,
    /// What it means, in Markdown.
    pub description: String,
    /// Why and in favour of what it should no longer be used.
    pub deprecation: Option<String>,
}

/// Who sets an attribute: the user, the provider, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// The user must set it.
    Required,
    /// The user may set it; unset it stays null.
    Optional,
    /// The user may set it; unset the provider chooses in the plan.
    OptionalComputed,
    /// Only the provider sets it.
    Computed,
    /// The user must set it; it is in no plan and no state.
    WriteOnlyRequired,
    /// The user may set it; it is in no plan and no state.
    WriteOnlyOptional,
}

/// What values an attribute takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeType {
    /// `true` or `false`.
    Bool,
    /// A number.
    Number,
    /// A string.
    String,
    /// Any value; its type travels with it.
    Dynamic,
    /// Elements in order.
    List(Box<AttributeType>),
    /// Distinct elements without order.
    Set(Box<AttributeType>),
    /// Elements by key.
    Map(Box<AttributeType>),
    /// A fixed number of elements, each of its own type. Only inside [`AttributeType::Dynamic`].
    Tuple(Vec<AttributeType>),
    /// Named parts without descriptions or flags of their own (functions, identities).
    Object(BTreeMap<String, AttributeType>),
    /// Named parts with descriptions and flags of their own.
    Nested(Nesting, Vec<Attribute>),
}

/// How often a nested object occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nesting {
    /// Once.
    Single,
    /// In order.
    List,
    /// Distinct, without order.
    Set,
    /// By key.
    Map,
}

/// How a resource is known before it is imported: the few attributes that name it for good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdentitySchema {
    /// Version of the stored identity.
    pub version: u64,
    /// Its attributes: strings, numbers, bools and lists of them.
    pub attributes: Vec<IdentityAttribute>,
}

/// One attribute of an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityAttribute {
    /// Name in an `import` block.
    pub name: String,
    /// What values it takes.
    pub kind: AttributeType,
    /// Whether an `import` block may leave it out.
    pub optional_for_import: bool,
    /// What it means.
    pub description: String,
}

impl Schema {
    /// The type of the whole object.
    pub fn object_type(&self) -> AttributeType {
        AttributeType::Nested(Nesting::Single, self.attributes.clone())
    }
}

impl Attribute {
    /// An attribute that is not sensitive and not deprecated.
    pub fn new(
        name: impl Into<String>,
        kind: AttributeType,
        presence: Presence,
        description: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            kind,
            presence,
            sensitive: false,
            description: description.into(),
            deprecation: None,
        }
    }
}

impl Presence {
    /// Whether the user must set it.
    pub fn is_required(self) -> bool {
        matches!(self, Self::Required | Self::WriteOnlyRequired)
    }

    /// Whether the user may leave it out.
    pub fn is_optional(self) -> bool {
        matches!(
            self,
            Self::Optional | Self::OptionalComputed | Self::WriteOnlyOptional
        )
    }

    /// Whether the provider may set it.
    pub fn is_computed(self) -> bool {
        matches!(self, Self::Computed | Self::OptionalComputed)
    }

    /// Whether it is in no plan and no state.
    pub fn is_write_only(self) -> bool {
        matches!(self, Self::WriteOnlyRequired | Self::WriteOnlyOptional)
    }
}

impl IdentitySchema {
    /// The type of the whole identity.
    pub fn object_type(&self) -> AttributeType {
        AttributeType::Object(
            self.attributes
                .iter()
                .map(|attribute| (attribute.name.clone(), attribute.kind.clone()))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_presence_is_a_mix_of_flags_that_core_takes() {
        for presence in [
            Presence::Required,
            Presence::Optional,
            Presence::OptionalComputed,
            Presence::Computed,
            Presence::WriteOnlyRequired,
            Presence::WriteOnlyOptional,
        ] {
            let may_be_left_out = presence.is_optional() || presence.is_computed();
            assert_ne!(presence.is_required(), may_be_left_out, "{presence:?}");
            let is_both = presence.is_write_only() && presence.is_computed();
            assert!(!is_both, "{presence:?}");
        }
    }
}
