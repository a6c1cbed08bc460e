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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::{IdentityAttribute, Presence};

    const STRING: &[u8] = br#""string""#;

    #[test]
    fn a_schema_has_its_version_and_its_attributes_with_their_flags() {
        let key = Attribute {
            sensitive: true,
            deprecation: Some("Use `keys`.".to_owned()),
            ..Attribute::new(
                "key",
                AttributeType::String,
                Presence::WriteOnlyOptional,
                "A key.",
            )
        };
        let told = schema(&Schema {
            version: 7,
            description: "A lock.".to_owned(),
            deprecation: Some("Use `paymesh_gate`.".to_owned()),
            attributes: vec![key],
        });
        let key = WireAttribute {
            name: "key".to_owned(),
            r#type: STRING.to_vec(),
            nested_type: None,
            description: "A key.".to_owned(),
            description_kind: MARKDOWN,
            required: false,
            optional: true,
            computed: false,
            write_only: true,
            sensitive: true,
            deprecated: true,
            deprecation_message: "Use `keys`.".to_owned(),
        };
        let block = told.block.unwrap();
        assert_eq!((told.version, block.version), (7, 7));
        assert_eq!(block.description, "A lock.");
        assert_eq!(block.deprecation_message, "Use `paymesh_gate`.");
        assert!(block.deprecated);
        assert_eq!(block.attributes, [key]);
    }

    #[test]
    fn a_nested_attribute_has_attributes_of_its_own_in_place_of_a_type() {
        for (nesting, mode) in [
            (Nesting::Single, NestingMode::Single),
            (Nesting::List, NestingMode::List),
            (Nesting::Set, NestingMode::Set),
            (Nesting::Map, NestingMode::Map),
        ] {
            let size = Attribute::new("size", AttributeType::Number, Presence::Required, "Size.");
            let kind = AttributeType::Nested(nesting, vec![size]);
            let pool = Attribute::new("pool", kind, Presence::Required, "A pool.");
            let told = attribute(&pool);
            let inner = told.nested_type.unwrap();
            assert!(told.r#type.is_empty());
            assert_eq!(inner.nesting(), mode);
            assert_eq!(inner.attributes[0].name, "size");
        }
    }

    #[test]
    fn a_part_of_an_identity_is_required_for_an_import_or_optional() {
        let told = identity(&IdentitySchema {
            version: 3,
            attributes: [("name", false), ("home", true)]
                .map(|(name, optional_for_import)| IdentityAttribute {
                    name: name.to_owned(),
                    kind: AttributeType::String,
                    optional_for_import,
                    description: "Any.".to_owned(),
                })
                .to_vec(),
        });
        let part = |name: &str, required, optional| WireIdentityAttribute {
            name: name.to_owned(),
            r#type: STRING.to_vec(),
            required_for_import: required,
            optional_for_import: optional,
            description: "Any.".to_owned(),
        };
        assert_eq!(told.version, 3);
        assert_eq!(
            told.identity_attributes,
            [part("name", true, false), part("home", false, true)]
        );
    }

    #[test]
    fn a_function_tells_what_it_takes_and_what_comes_of_it() {
        let takes = |name: &str, nullable| Parameter {
            name: name.to_owned(),
            kind: AttributeType::String,
            nullable,
            description: "Any.".to_owned(),
        };
        let told = function(&Signature {
            name: "join".to_owned(),
            summary: "Joins words".to_owned(),
            description: "Joins words.".to_owned(),
            parameters: vec![takes("separator", false)],
            variadic: Some(takes("word", true)),
            result: AttributeType::Bool,
        });
        let wire = |name: &str, allow_null_value| WireParameter {
            name: name.to_owned(),
            r#type: STRING.to_vec(),
            allow_null_value,
            allow_unknown_values: false,
            description: "Any.".to_owned(),
            description_kind: MARKDOWN,
        };
        let join = tfplugin6::Function {
            parameters: vec![wire("separator", false)],
            variadic_parameter: Some(wire("word", true)),
            r#return: Some(Return {
                r#type: br#""bool""#.to_vec(),
            }),
            summary: "Joins words".to_owned(),
            description: "Joins words.".to_owned(),
            description_kind: MARKDOWN,
            deprecation_message: String::new(),
        };
        assert_eq!(told, join);
    }
}
