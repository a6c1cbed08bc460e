//! A function that HCL can call: `provider::paymesh::name(...)`.

use crate::{schema::AttributeType, value::Value};

/// A pure function of its arguments.
pub trait Function: Send + Sync + 'static {
    /// Its name, parameters and result.
    fn signature(&self) -> Signature;

    /// The result. Arguments are as many as the signature says, wholly known, and of their types.
    fn call(&self, arguments: &[Value]) -> Result<Value, ArgumentError>;
}

/// How a function is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Its name.
    pub name: String,
    /// What it does, in one line.
    pub summary: String,
    /// What it does, in Markdown.
    pub description: String,
    /// Its parameters, in order.
    pub parameters: Vec<Parameter>,
    /// The parameter that takes all further arguments.
    pub variadic: Option<Parameter>,
    /// The type of its result.
    pub result: AttributeType,
}

/// One parameter of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name, for the documentation.
    pub name: String,
    /// What values it takes.
    pub kind: AttributeType,
    /// Whether null is one of them.
    pub nullable: bool,
    /// What it means, in Markdown.
    pub description: String,
}

/// What is wrong with a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgumentError {
    /// The argument at fault, counted from 0, if it is one.
    pub argument: Option<usize>,
    /// What is wrong with it and what would be right.
    pub text: String,
}

impl ArgumentError {
    /// The argument at `index` is wrong.
    pub fn at(index: usize, text: impl Into<String>) -> Self {
        Self {
            argument: Some(index),
            text: text.into(),
        }
    }
}
