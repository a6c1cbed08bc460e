//! A function.

use paymesh_plugin::{
    function::{ArgumentError, Function, Parameter, Signature},
    schema::AttributeType,
    value::Value,
};

/// `provider::sample::join("-", "a", "b")`.
pub(crate) struct Join;

impl Function for Join {
    fn signature(&self) -> Signature {
        let parameter = |name: &str, description: &str| Parameter {
            name: name.to_owned(),
            kind: AttributeType::String,
            nullable: false,
            description: description.to_owned(),
        };
        Signature {
            name: "join".to_owned(),
            summary: "Joins words".to_owned(),
            description: "Joins words with a separator between them.".to_owned(),
            parameters: vec![parameter("separator", "What stands between two words.")],
            variadic: Some(parameter("word", "A word that is not empty.")),
            result: AttributeType::String,
        }
    }

    fn call(&self, arguments: &[Value]) -> Result<Value, ArgumentError> {
        let texts: Vec<&str> = arguments.iter().filter_map(Value::as_str).collect();
        let (separator, words) = texts.split_first().unwrap_or((&"", &[]));
        match words.iter().position(|word| word.is_empty()) {
            Some(empty) => Err(ArgumentError::at(empty + 1, "a word must not be empty")),
            None => Ok(words.join(separator).into()),
        }
    }
}
