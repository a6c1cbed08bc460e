//! Values inside messages: `MessagePack` if there is any, else JSON, else null.

use super::{json, msgpack, tfplugin6};
use crate::{schema::AttributeType, value::Value};

/// The value of a message's field.
pub(crate) fn decode(
    dynamic: Option<&tfplugin6::DynamicValue>,
    kind: &AttributeType,
) -> Result<Value, msgpack::CodecError> {
    let Some(dynamic) = dynamic else {
        return Ok(Value::Null);
    };
    if !dynamic.msgpack.is_empty() {
        return msgpack::decode(&dynamic.msgpack, kind);
    }
    if dynamic.json.is_empty() {
        return Ok(Value::Null);
    }
    let json = serde_json::from_slice(&dynamic.json).map_err(|error| msgpack::CodecError {
        path: crate::path::Path::root(),
        message: format!("not JSON: {error}"),
    })?;
    json::decode(&json, kind)
}

/// The value as a message's field.
pub(crate) fn encode(
    value: &Value,
    kind: &AttributeType,
) -> Result<tfplugin6::DynamicValue, msgpack::CodecError> {
    Ok(tfplugin6::DynamicValue {
        msgpack: msgpack::encode(value, kind)?,
        json: Vec::new(),
    })
}
