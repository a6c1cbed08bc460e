//! What a declaration says, as data: the one source of the schema, the docs, the defaults and the
//! comparison of two specs.

use crate::value::Value;

/// What values an attribute takes.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// `true` or `false`.
    Bool,
    /// A whole number within a range.
    Integer {
        /// The smallest value.
        min: i128,
        /// The largest value.
        max: i128,
    },
    /// Any number.
    Number,
    /// A string that passes checks.
    Text {
        /// What each check demands.
        checks: Vec<String>,
    },
    /// One word of a closed list.
    Choice(Vec<Word>),
    /// Elements in order.
    List(Box<Shape>),
    /// Distinct elements without order.
    Set(Box<Shape>),
    /// Elements by key.
    Map {
        /// What the keys must be.
        keys: Vec<String>,
        /// Each element.
        element: Box<Shape>,
    },
    /// A nested object.
    Object(ObjectShape),
}

/// An allowed word with its description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// As the user writes it.
    pub word: &'static str,
    /// What it means, in Markdown.
    pub description: &'static str,
}

/// A struct of attributes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObjectShape {
    /// What it is, in Markdown.
    pub description: String,
    /// Its attributes, in the order of the declaration.
    pub attributes: Vec<AttributeShape>,
    /// Attributes that exclude each other.
    pub groups: Vec<Group>,
}

/// One attribute.
#[derive(Clone, Debug, PartialEq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "one flag for each word of a declaration"
)]
pub struct AttributeShape {
    /// Its name in HCL.
    pub name: &'static str,
    /// What it is, in Markdown.
    pub description: String,
    /// Who sets it.
    pub presence: Presence,
    /// What values it takes.
    pub shape: Shape,
    /// What each check demands.
    pub checks: Vec<String>,
    /// Whether a change makes a new object.
    pub replaces: bool,
    /// Whether a change is rolled out step by step inside the object.
    pub rolling: bool,
    /// Whether it is in no plan and no state.
    pub write_only: bool,
    /// Whether it is hidden in output.
    pub sensitive: bool,
    /// Whether it is part of the resource identity.
    pub identity: bool,
    /// The first version that knows it.
    pub since: Option<&'static str>,
    /// What to use instead.
    pub deprecated: Option<&'static str>,
}

/// Who sets an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Presence {
    /// The user must.
    Required,
    /// The user may.
    Optional,
    /// The user may; left out, this value is planned.
    Default(Value),
    /// The cloud does.
    Reported,
}

/// Attributes that exclude each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Whether one of them must be set.
    pub exactly_one: bool,
    /// Their names.
    pub names: Vec<&'static str>,
}

impl Shape {
    /// The object inside, through lists, sets and maps.
    pub fn object(&self) -> Option<&ObjectShape> {
        match self {
            Self::Object(object) => Some(object),
            Self::List(element) | Self::Set(element) | Self::Map { element, .. } => {
                element.object()
            }
            _ => None,
        }
    }

    /// `config` with the default of every attribute that is left out, at every depth.
    pub fn with_defaults(&self, config: &Value) -> Value {
        match (self, config) {
            (Self::Object(object), Value::Map(_)) => object.with_defaults(config),
            (Self::Map { element, .. }, Value::Map(entries)) => Value::map(
                entries
                    .iter()
                    .map(|(key, value)| (key.clone(), element.with_defaults(value))),
            ),
            (Self::List(element) | Self::Set(element), Value::List(elements)) => {
                Value::list(elements.iter().map(|value| element.with_defaults(value)))
            }
            _ => config.clone(),
        }
    }
}

impl ObjectShape {
    /// The attributes of this object in `config` (others are dropped), each that is left out with its
    /// default, at every depth; write-only values become null, since no plan may hold them.
    pub fn with_defaults(&self, config: &Value) -> Value {
        Value::map(self.attributes.iter().map(|attribute| {
            let given = config.entry(attribute.name);
            let planned = match &attribute.presence {
                _ if attribute.write_only => Value::Null,
                Presence::Default(default) if given.is_null() => default.clone(),
                _ => attribute.shape.with_defaults(given),
            };
            (attribute.name, planned)
        }))
    }
}
