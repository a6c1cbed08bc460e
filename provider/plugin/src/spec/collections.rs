//! Optional values, lists, sets and maps as attributes.

use std::collections::{BTreeMap, BTreeSet};

use super::attribute::Attribute;
use super::field::Field;
use super::reader::Reader;
use super::shape::Shape;
use super::text::Text;
use crate::findings::codes;
use crate::value::Value;

impl<T: Attribute> Attribute for Option<T> {
    type Draft = T::Draft;

    const SECRET: bool = T::SECRET;
    const WRITE_ONLY: bool = T::WRITE_ONLY;
    const SENSITIVE: bool = T::SENSITIVE;
    const OPTIONAL: bool = true;

    fn shape() -> Shape {
        T::shape()
    }

    fn draft(value: &Value, reader: &mut Reader<'_>) -> Field<Self::Draft> {
        T::draft(value, reader)
    }

    fn complete(draft: Field<Self::Draft>, reader: &mut Reader<'_>) -> Option<Self> {
        if draft.is_null() {
            Some(None)
        } else {
            T::complete(draft, reader).map(Some)
        }
    }

    fn into_draft(self) -> Field<Self::Draft> {
        self.map_or(Field::Null, T::into_draft)
    }

    fn value(draft: &Field<Self::Draft>) -> Value {
        T::value(draft)
    }
}

fn draft_elements<T: Attribute>(
    value: &Value,
    reader: &mut Reader<'_>,
    indexed: bool,
) -> Field<Vec<Field<T::Draft>>> {
    match value {
        Value::Null => Field::Null,
        Value::Unknown => Field::Unknown,
        Value::List(elements) => Field::Known(
            elements
                .iter()
                .enumerate()
                .map(|(index, element)| {
                    if indexed {
                        reader.index(index, |reader| reader.element::<T>(element))
                    } else {
                        reader.element::<T>(element)
                    }
                })
                .collect(),
        ),
        other => reader.wrong_type("a list", other),
    }
}

/// Completes every element before giving up, so that all that is missing is noted.
fn complete_all<T>(elements: Vec<Option<T>>) -> Option<Vec<T>> {
    elements.into_iter().collect()
}

impl<T: Attribute> Attribute for Vec<T> {
    type Draft = Vec<Field<T::Draft>>;

    const SECRET: bool = T::SECRET;
    const SENSITIVE: bool = T::SENSITIVE;

    fn shape() -> Shape {
        Shape::List(Box::new(T::shape()))
    }

    fn draft(value: &Value, reader: &mut Reader<'_>) -> Field<Self::Draft> {
        draft_elements::<T>(value, reader, true)
    }

    fn complete(draft: Field<Self::Draft>, reader: &mut Reader<'_>) -> Option<Self> {
        let elements = reader.present(draft)?;
        let complete = elements
            .into_iter()
            .enumerate()
            .map(|(index, element)| reader.index(index, |reader| T::complete(element, reader)))
            .collect();
        complete_all(complete)
    }

    fn into_draft(self) -> Field<Self::Draft> {
        Field::Known(self.into_iter().map(T::into_draft).collect())
    }

    fn value(draft: &Field<Self::Draft>) -> Value {
        draft.to_value(|elements| Value::list(elements.iter().map(T::value)))
    }
}

impl<T: Attribute + Ord> Attribute for BTreeSet<T> {
    type Draft = Vec<Field<T::Draft>>;

    const SECRET: bool = {
        assert!(
            !T::SECRET,
            "a Secret cannot be in a set: Terraform refuses write-only values there"
        );
        false
    };

    fn shape() -> Shape {
        Shape::Set(Box::new(T::shape()))
    }

    fn draft(value: &Value, reader: &mut Reader<'_>) -> Field<Self::Draft> {
        draft_elements::<T>(value, reader, false)
    }

    fn complete(draft: Field<Self::Draft>, reader: &mut Reader<'_>) -> Option<Self> {
        let elements = reader.present(draft)?;
        let complete = elements
            .into_iter()
            .map(|element| T::complete(element, reader))
            .collect();
        complete_all(complete).map(|elements| elements.into_iter().collect())
    }

    fn into_draft(self) -> Field<Self::Draft> {
        Field::Known(self.into_iter().map(T::into_draft).collect())
    }

    fn value(draft: &Field<Self::Draft>) -> Value {
        draft.to_value(|elements| Value::list(elements.iter().map(T::value)))
    }
}

impl<K: Text + Ord + std::fmt::Debug, V: Attribute> Attribute for BTreeMap<K, V> {
    type Draft = BTreeMap<K, Field<V::Draft>>;

    const SECRET: bool = V::SECRET;
    const SENSITIVE: bool = V::SENSITIVE;

    fn shape() -> Shape {
        Shape::Map {
            keys: K::describe(),
            element: Box::new(V::shape()),
        }
    }

    fn draft(value: &Value, reader: &mut Reader<'_>) -> Field<Self::Draft> {
        let entries = match value {
            Value::Null => return Field::Null,
            Value::Unknown => return Field::Unknown,
            Value::Map(entries) => entries,
            other => return reader.wrong_type("a map", other),
        };
        let mut drafts = BTreeMap::new();
        for (text, element) in entries {
            reader.key(text, |reader| {
                let draft = reader.element::<V>(element);
                match K::from_text(text) {
                    Ok(key) => {
                        drafts.insert(key, draft);
                    }
                    Err(reason) => {
                        reader
                            .error("Key breaks the rule of its map")
                            .code(codes::KEY)
                            .detail(reason)
                            .hint(format!(
                                "rename the key: use {}",
                                K::describe().join(" and ")
                            ));
                    }
                }
            });
        }
        Field::Known(drafts)
    }

    fn complete(draft: Field<Self::Draft>, reader: &mut Reader<'_>) -> Option<Self> {
        let entries = reader.present(draft)?;
        let complete = entries
            .into_iter()
            .map(|(key, element)| {
                let element = reader.key(&key.to_string(), |reader| V::complete(element, reader));
                element.map(|element| (key, element))
            })
            .collect();
        complete_all(complete).map(|entries| entries.into_iter().collect())
    }

    fn into_draft(self) -> Field<Self::Draft> {
        Field::Known(
            self.into_iter()
                .map(|(key, element)| (key, element.into_draft()))
                .collect(),
        )
    }

    fn value(draft: &Field<Self::Draft>) -> Value {
        draft.to_value(|entries| {
            Value::map(
                entries
                    .iter()
                    .map(|(key, element)| (key.to_string(), V::value(element))),
            )
        })
    }
}
