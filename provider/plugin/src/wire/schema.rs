//! Schemas as the protocol writes them.

use super::{
    tfplugin6::{
        self, StringKind,
        function::{Parameter as WireParameter, Return},
        resource_identity_schema::IdentityAttribute as WireIdentityAttribute,
        schema::{Attribute as WireAttribute, Block, Object, object::NestingMode},
    },
    types,
};
use crate::{
    function::{Parameter, Signature},
    schema::{Attribute, AttributeType, IdentitySchema, Nesting, Schema},
};

const MARKDOWN: i32 = StringKind::Markdown as i32;

/// The schema of a resource, data source, ephemeral resource or provider block.
pub(crate) fn schema(schema: &Schema) -> tfplugin6::Schema {
    tfplugin6::Schema {
        version: version(schema.version),
        block: Some(Block {
            version: version(schema.version),
            attributes: schema.attributes.iter().map(attribute).collect(),
            block_types: Vec::new(),
            description: schema.description.clone(),
            description_kind: MARKDOWN,
            deprecated: schema.deprecation.is_some(),
            deprecation_message: schema.deprecation.clone().unwrap_or_default(),
            computed: false,
        }),
    }
}

fn version(version: u64) -> i64 {
    i64::try_from(version).unwrap_or(i64::MAX)
}

fn attribute(attribute: &Attribute) -> WireAttribute {
    let (kind, nested_type) = match &attribute.kind {
        AttributeType::Nested(nesting, attributes) => {
            (Vec::new(), Some(nested(*nesting, attributes)))
        }
        kind => (types::to_bytes(kind), None),
    };
    WireAttribute {
        name: attribute.name.clone(),
        r#type: kind,
        nested_type,
        description: attribute.description.clone(),
        description_kind: MARKDOWN,
        required: attribute.presence.is_required(),
        optional: attribute.presence.is_optional(),
        computed: attribute.presence.is_computed(),
        write_only: attribute.presence.is_write_only(),
        sensitive: attribute.sensitive,
        deprecated: attribute.deprecation.is_some(),
        deprecation_message: attribute.deprecation.clone().unwrap_or_default(),
    }
}

#[allow(deprecated, reason = "the message still has the fields")]
fn nested(nesting: Nesting, attributes: &[Attribute]) -> Object {
    let nesting = match nesting {
        Nesting::Single => NestingMode::Single,
        Nesting::List => NestingMode::List,
        Nesting::Set => NestingMode::Set,
        Nesting::Map => NestingMode::Map,
    };
    Object {
        attributes: attributes.iter().map(attribute).collect(),
        nesting: nesting.into(),
        min_items: 0,
        max_items: 0,
    }
}

/// The schema of an identity.
pub(crate) fn identity(schema: &IdentitySchema) -> tfplugin6::ResourceIdentitySchema {
    tfplugin6::ResourceIdentitySchema {
        version: version(schema.version),
        identity_attributes: schema
            .attributes
            .iter()
            .map(|attribute| WireIdentityAttribute {
                name: attribute.name.clone(),
                r#type: types::to_bytes(&attribute.kind),
                required_for_import: !attribute.optional_for_import,
                optional_for_import: attribute.optional_for_import,
                description: attribute.description.clone(),
            })
            .collect(),
    }
}

/// The signature of a function.
pub(crate) fn function(signature: &Signature) -> tfplugin6::Function {
    tfplugin6::Function {
        parameters: signature.parameters.iter().map(parameter).collect(),
        variadic_parameter: signature.variadic.as_ref().map(parameter),
        r#return: Some(Return {
            r#type: types::to_bytes(&signature.result),
        }),
        summary: signature.summary.clone(),
        description: signature.description.clone(),
        description_kind: MARKDOWN,
        deprecation_message: String::new(),
    }
}

fn parameter(parameter: &Parameter) -> WireParameter {
    WireParameter {
        name: parameter.name.clone(),
        r#type: types::to_bytes(&parameter.kind),
        allow_null_value: parameter.nullable,
        allow_unknown_values: false,
        description: parameter.description.clone(),
        description_kind: MARKDOWN,
    }
}
