//! Values as `MessagePack`, the way Terraform's core writes them.
//!
//! Encoding and decoding both follow the type. An unknown is any extension value: core refines some
//! unknowns with what it knows about them, which a provider may ignore. The decoder takes bytes from
//! outside: it never panics and never allocates more than the bytes can hold.

use std::fmt;

use rmp::{Marker, decode, encode};

use super::types;
use crate::{
    path::Path,
    schema::{AttributeType, Nesting},
    value::{Entries, Number, Value},
};

/// An unknown without refinements.
const UNKNOWN: [u8; 3] = [0xd4, 0, 0];

/// The deepest nesting, which no schema limits where a value is dynamic: it brings its own type, and
/// that may end in the next dynamic value.
const DEPTH_MAX: usize = 64;

/// A value and its type do not agree, or the bytes are no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CodecError {
    /// Where.
    pub(crate) path: Path,
    /// What was expected and what was there.
    pub(crate) message: String,
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_root() {
            f.write_str(&self.message)
        } else {
            write!(f, "{}: {}", self.path, self.message)
        }
    }
}

/// The value as bytes.
pub(crate) fn encode(value: &Value, kind: &AttributeType) -> Result<Vec<u8>, CodecError> {
    let mut bytes = Vec::new();
    write(&mut bytes, value, kind, &Path::root())?;
    Ok(bytes)
}

/// The value of these bytes.
pub(crate) fn decode(bytes: &[u8], kind: &AttributeType) -> Result<Value, CodecError> {
    let mut reader = Reader {
        rest: bytes,
        depth: 0,
    };
    let value = reader.value(kind, &Path::root())?;
    if reader.rest.is_empty() {
        Ok(value)
    } else {
        Err(wrong(
            &Path::root(),
            format!("{} bytes follow the value", reader.rest.len()),
        ))
    }
}

fn wrong(path: &Path, message: impl Into<String>) -> CodecError {
    CodecError {
        path: path.clone(),
        message: message.into(),
    }
}

fn mismatch(path: &Path, wanted: &str, value: &Value) -> CodecError {
    let is = match value {
        Value::Null => "null",
        Value::Unknown => "unknown",
        Value::Bool(_) => "a bool",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::List(_) => "a list",
        Value::Map(_) => "a map",
    };
    wrong(path, format!("the type is {wanted}, but the value is {is}"))
}

/// Writing into a vector cannot fail.
const INTO_MEMORY: &str = "writing into memory does not fail";

fn length(count: usize, path: &Path) -> Result<u32, CodecError> {
    count
        .try_into()
        .map_err(|_| wrong(path, "more than 2^32 elements"))
}

fn write(
    out: &mut Vec<u8>,
    value: &Value,
    kind: &AttributeType,
    path: &Path,
) -> Result<(), CodecError> {
    match (kind, value) {
        (_, Value::Unknown) => out.extend(UNKNOWN),
        (_, Value::Null) => encode::write_nil(out).expect(INTO_MEMORY),
        (AttributeType::Dynamic, value) => {
            let kind = types::of_value(value);
            encode::write_array_len(out, 2).expect(INTO_MEMORY);
            encode::write_bin(out, &types::to_bytes(&kind)).expect(INTO_MEMORY);
            write(out, value, &kind, path)?;
        }
        (AttributeType::Bool, Value::Bool(bool)) => {
            encode::write_bool(out, *bool).expect(INTO_MEMORY);
        }
        (AttributeType::Bool, value) => return Err(mismatch(path, "bool", value)),
        (AttributeType::Number, Value::Number(number)) => write_number(out, number),
        (AttributeType::Number, value) => return Err(mismatch(path, "number", value)),
        (AttributeType::String, Value::String(text)) => {
            encode::write_str(out, text).expect(INTO_MEMORY);
        }
        (AttributeType::String, value) => return Err(mismatch(path, "string", value)),
        (AttributeType::List(element) | AttributeType::Set(element), value) => {
            write_elements(out, value, path, "a list or set", |out, value, path| {
                write(out, value, element, path)
            })?;
        }
        (AttributeType::Tuple(kinds), Value::List(elements)) if kinds.len() == elements.len() => {
            encode::write_array_len(out, length(kinds.len(), path)?).expect(INTO_MEMORY);
            for (index, (kind, element)) in kinds.iter().zip(elements).enumerate() {
                write(out, element, kind, &path.index(index))?;
            }
        }
        (AttributeType::Tuple(_), value) => return Err(mismatch(path, "a tuple", value)),
        (AttributeType::Map(element), value) => {
            write_entries(out, value, path, |out, value, path| {
                write(out, value, element, path)
            })?;
        }
        (AttributeType::Object(attributes), value) => {
            let attributes = attributes.iter().map(|(name, kind)| (name.as_str(), kind));
            write_object(out, value, attributes, path)?;
        }
        (AttributeType::Nested(nesting, attributes), value) => {
            let one = |out: &mut Vec<u8>, value: &Value, path: &Path| {
                if value.is_null() {
                    encode::write_nil(out).expect(INTO_MEMORY);
                    return Ok(());
                }
                if value.is_unknown() {
                    out.extend(UNKNOWN);
                    return Ok(());
                }
                let attributes = attributes
                    .iter()
                    .map(|attribute| (attribute.name.as_str(), &attribute.kind));
                write_object(out, value, attributes, path)
            };
            match nesting {
                Nesting::Single => one(out, value, path)?,
                Nesting::List | Nesting::Set => {
                    write_elements(out, value, path, "a list or set", one)?;
                }
                Nesting::Map => write_entries(out, value, path, one)?,
            }
        }
    }
    Ok(())
}

fn write_number(out: &mut Vec<u8>, number: &Number) {
    if let Some(integer) = number.as_i64() {
        encode::write_sint(out, integer).expect(INTO_MEMORY);
    } else if let Some(integer) = number.as_u64() {
        encode::write_uint(out, integer).expect(INTO_MEMORY);
    } else {
        encode::write_str(out, &number.to_string()).expect(INTO_MEMORY);
    }
}

fn write_elements(
    out: &mut Vec<u8>,
    value: &Value,
    path: &Path,
    wanted: &str,
    one: impl Fn(&mut Vec<u8>, &Value, &Path) -> Result<(), CodecError>,
) -> Result<(), CodecError> {
    let Value::List(elements) = value else {
        return Err(mismatch(path, wanted, value));
    };
    encode::write_array_len(out, length(elements.len(), path)?).expect(INTO_MEMORY);
    elements
        .iter()
        .enumerate()
        .try_for_each(|(index, element)| one(out, element, &path.index(index)))
}

fn write_entries(
    out: &mut Vec<u8>,
    value: &Value,
    path: &Path,
    one: impl Fn(&mut Vec<u8>, &Value, &Path) -> Result<(), CodecError>,
) -> Result<(), CodecError> {
    let Value::Map(entries) = value else {
        return Err(mismatch(path, "a map", value));
    };
    encode::write_map_len(out, length(entries.len(), path)?).expect(INTO_MEMORY);
    entries.iter().try_for_each(|(key, value)| {
        encode::write_str(out, key).expect(INTO_MEMORY);
        one(out, value, &path.key(key))
    })
}

fn write_object<'k>(
    out: &mut Vec<u8>,
    value: &Value,
    attributes: impl Iterator<Item = (&'k str, &'k AttributeType)> + Clone,
    path: &Path,
) -> Result<(), CodecError> {
    let Value::Map(entries) = value else {
        return Err(mismatch(path, "an object", value));
    };
    if let Some(name) = entries
        .keys()
        .find(|name| !attributes.clone().any(|(known, _)| known == *name))
    {
        return Err(wrong(path, format!("the type has no attribute {name:?}")));
    }
    encode::write_map_len(out, length(attributes.clone().count(), path)?).expect(INTO_MEMORY);
    for (name, kind) in attributes {
        encode::write_str(out, name).expect(INTO_MEMORY);
        write(
            out,
            entries.get(name).unwrap_or(&Value::Null),
            kind,
            &path.attribute(name),
        )?;
    }
    Ok(())
}

struct Reader<'b> {
    rest: &'b [u8],
    depth: usize,
}

impl<'b> Reader<'b> {
    fn value(&mut self, kind: &AttributeType, path: &Path) -> Result<Value, CodecError> {
        if self.depth >= DEPTH_MAX {
            let message = format!("the value is nested more than {DEPTH_MAX} levels deep");
            return Err(wrong(path, message));
        }
        self.depth += 1;
        let value = self.value_here(kind, path);
        self.depth -= 1;
        value
    }

    fn value_here(&mut self, kind: &AttributeType, path: &Path) -> Result<Value, CodecError> {
        if let Some(value) = self.absent(path)? {
            return Ok(value);
        }
        match kind {
            AttributeType::Bool => decode::read_bool(&mut self.rest)
                .map(Value::Bool)
                .map_err(|_| wrong(path, "not a bool")),
            AttributeType::Number => self.number(path).map(Value::Number),
            AttributeType::String => self.text(path).map(|text| Value::String(text.to_owned())),
            AttributeType::Dynamic => self.dynamic(path),
            AttributeType::List(element) | AttributeType::Set(element) => {
                self.elements(path, |reader, path| reader.value(element, path))
            }
            AttributeType::Tuple(kinds) => {
                let count = self.array(path)?;
                if count != kinds.len() {
                    return Err(wrong(
                        path,
                        format!("{count} elements instead of {}", kinds.len()),
                    ));
                }
                let elements = kinds.iter().enumerate();
                elements
                    .map(|(index, kind)| self.value(kind, &path.index(index)))
                    .collect::<Result<_, _>>()
                    .map(Value::List)
            }
            AttributeType::Map(element) => {
                self.entries(path, |reader, path| reader.value(element, path))
            }
            AttributeType::Object(attributes) => {
                self.object(path, |name| attributes.get(name), attributes.keys())
            }
            AttributeType::Nested(nesting, attributes) => {
                let one = |reader: &mut Self, path: &Path| {
                    if let Some(value) = reader.absent(path)? {
                        return Ok(value);
                    }
                    reader.object(
                        path,
                        |name| {
                            let found = attributes.iter().find(|attribute| attribute.name == name);
                            found.map(|attribute| &attribute.kind)
                        },
                        attributes.iter().map(|attribute| &attribute.name),
                    )
                };
                match nesting {
                    Nesting::Single => one(self, path),
                    Nesting::List | Nesting::Set => self.elements(path, one),
                    Nesting::Map => self.entries(path, one),
                }
            }
        }
    }

    /// A null or an unknown, if one comes next.
    fn absent(&mut self, path: &Path) -> Result<Option<Value>, CodecError> {
        let Some(first) = self.rest.first() else {
            return Err(wrong(path, "the bytes end before the value"));
        };
        match Marker::from_u8(*first) {
            Marker::Null => {
                self.rest = &self.rest[1..];
                Ok(Some(Value::Null))
            }
            Marker::FixExt1
            | Marker::FixExt2
            | Marker::FixExt4
            | Marker::FixExt8
            | Marker::FixExt16
            | Marker::Ext8
            | Marker::Ext16
            | Marker::Ext32 => {
                let meta = decode::read_ext_meta(&mut self.rest)
                    .map_err(|_| wrong(path, "an unreadable extension"))?;
                self.take(meta.size, path)?;
                Ok(Some(Value::Unknown))
            }
            _ => Ok(None),
        }
    }

    fn number(&mut self, path: &Path) -> Result<Number, CodecError> {
        let not_a_number = || wrong(path, "not a number");
        let Some(first) = self.rest.first() else {
            return Err(not_a_number());
        };
        match Marker::from_u8(*first) {
            Marker::F32 => decode::read_f32(&mut self.rest)
                .ok()
                .and_then(|float| Number::from_exact_float(float.into())),
            Marker::F64 => decode::read_f64(&mut self.rest)
                .ok()
                .and_then(Number::from_exact_float),
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => {
                Number::parse(self.text(path)?)
            }
            Marker::U64 => decode::read_u64(&mut self.rest).ok().map(Number::from),
            _ => decode::read_int::<i64, _>(&mut self.rest)
                .ok()
                .map(Number::from),
        }
        .ok_or_else(not_a_number)
    }

    fn text(&mut self, path: &Path) -> Result<&'b str, CodecError> {
        let length =
            decode::read_str_len(&mut self.rest).map_err(|_| wrong(path, "not a string"))?;
        std::str::from_utf8(self.take(length, path)?).map_err(|_| wrong(path, "not UTF-8"))
    }

    fn take(&mut self, length: u32, path: &Path) -> Result<&'b [u8], CodecError> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or_else(|| wrong(path, "the bytes end inside the value"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array(&mut self, path: &Path) -> Result<usize, CodecError> {
        let count = decode::read_array_len(&mut self.rest);
        let count = count.map_err(|_| wrong(path, "not a list"))?;
        self.held(count, 1, path)
    }

    fn map(&mut self, path: &Path, wanted: &str) -> Result<usize, CodecError> {
        let count = decode::read_map_len(&mut self.rest);
        let count = count.map_err(|_| wrong(path, format!("not {wanted}")))?;
        self.held(count, 2, path)
    }

    /// How many elements a header announces, each of so many bytes at least, if the bytes that are
    /// left can hold them.
    fn held(&self, count: u32, least: usize, path: &Path) -> Result<usize, CodecError> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > self.rest.len() / least {
            let left = self.rest.len();
            let message = format!("{count} elements are announced, and {left} bytes follow");
            return Err(wrong(path, message));
        }
        Ok(count)
    }

    fn dynamic(&mut self, path: &Path) -> Result<Value, CodecError> {
        let broken = || wrong(path, "not a dynamic value");
        if self.array(path)? != 2 {
            return Err(broken());
        }
        let length = decode::read_bin_len(&mut self.rest).map_err(|_| broken())?;
        let json = serde_json::from_slice(self.take(length, path)?).map_err(|_| broken())?;
        let kind = types::from_json(&json).ok_or_else(broken)?;
        self.value(&kind, path)
    }

    fn elements(
        &mut self,
        path: &Path,
        one: impl Fn(&mut Self, &Path) -> Result<Value, CodecError>,
    ) -> Result<Value, CodecError> {
        let count = self.array(path)?;
        let mut elements = Vec::new();
        for index in 0..count {
            elements.push(one(self, &path.index(index))?);
        }
        Ok(Value::List(elements))
    }

    fn entries(
        &mut self,
        path: &Path,
        one: impl Fn(&mut Self, &Path) -> Result<Value, CodecError>,
    ) -> Result<Value, CodecError> {
        let count = self.map(path, "a map")?;
        let mut entries = Entries::new();
        for _ in 0..count {
            let key = self.text(path)?.to_owned();
            let value = one(self, &path.key(&key))?;
            entries.insert(key, value);
        }
        Ok(Value::Map(entries))
    }

    fn object<'k>(
        &mut self,
        path: &Path,
        kind: impl Fn(&str) -> Option<&'k AttributeType>,
        names: impl Iterator<Item = &'k String>,
    ) -> Result<Value, CodecError> {
        let count = self.map(path, "an object")?;
        let mut entries: Entries = names.map(|name| (name.clone(), Value::Null)).collect();
        // Terraform writes every attribute, null or not. Were one left out and made up here, a byte of
        // the message could stand for as many as the type has, which a dynamic value brings itself.
        if count != entries.len() {
            let message = format!("{count} attributes instead of {}", entries.len());
            return Err(wrong(path, message));
        }
        for _ in 0..count {
            let name = self.text(path)?;
            let inner = path.attribute(name);
            let kind = kind(name).ok_or_else(|| wrong(&inner, "no such attribute"))?;
            let value = self.value(kind, &inner)?;
            entries.insert(name.to_owned(), value);
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests;
