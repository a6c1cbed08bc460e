//! Reading a value: where we are, what was found, and how strict to be.

use super::attribute::Attribute;
use super::checks::Check;
use super::field::Field;
use super::text::{Choice, Text};
use crate::findings::{Finding, Findings, codes};
use crate::path::Path;
use crate::value::Value;

/// A walk down a value. It collects findings and never stops at the first.
pub struct Reader<'f> {
    found: &'f mut Findings,
    at: Path,
    /// Whether checks, groups and rules apply: to what a user wrote, not to what a state holds.
    strict: bool,
}

impl<'f> Reader<'f> {
    /// Reads what a user wrote.
    pub fn of_configuration(found: &'f mut Findings) -> Self {
        Self {
            found,
            at: Path::root(),
            strict: true,
        }
    }

    /// Reads what a state holds.
    pub fn of_state(found: &'f mut Findings) -> Self {
        Self {
            found,
            at: Path::root(),
            strict: false,
        }
    }

    /// Reads a wholly known value; none if anything is wrong with it.
    pub fn decode<T: Attribute>(&mut self, value: &Value) -> Option<T> {
        let mut found = Findings::new();
        let mut reader = Reader {
            found: &mut found,
            at: self.at.clone(),
            strict: self.strict,
        };
        let draft = T::draft(value, &mut reader);
        let complete = if reader.found.has_errors() {
            None
        } else {
            T::complete(draft, &mut reader)
        };
        self.found.extend(found);
        complete
    }

    /// Notes an error here.
    pub fn error(&mut self, title: impl Into<String>) -> &mut Finding {
        self.found.error(self.at.clone(), title)
    }

    /// Reads inside the attribute `name`.
    pub fn inside<R>(&mut self, name: &str, read: impl FnOnce(&mut Reader<'_>) -> R) -> R {
        self.below(self.at.attribute(name), read)
    }

    /// Reads inside the element `key` of a map.
    pub fn key<R>(&mut self, key: &str, read: impl FnOnce(&mut Reader<'_>) -> R) -> R {
        self.below(self.at.key(key), read)
    }

    /// Reads inside the element `index` of a list.
    pub fn index<R>(&mut self, index: usize, read: impl FnOnce(&mut Reader<'_>) -> R) -> R {
        self.below(self.at.index(index), read)
    }

    fn below<R>(&mut self, at: Path, read: impl FnOnce(&mut Reader<'_>) -> R) -> R {
        read(&mut Reader {
            found: &mut *self.found,
            at,
            strict: self.strict,
        })
    }

    /// Reads something whose value must not be shown: what is found says what to do, not what was found.
    pub fn hidden<R>(&mut self, read: impl FnOnce(&mut Reader<'_>) -> R) -> R {
        let mut found = Findings::new();
        let result = read(&mut Reader {
            found: &mut found,
            at: self.at.clone(),
            strict: self.strict,
        });
        for mut finding in found {
            finding.detail("the value is sensitive and therefore not shown");
            self.found.add(finding);
        }
        result
    }

    /// Reads an object.
    pub fn object<D>(
        &mut self,
        value: &Value,
        read: impl FnOnce(&Value, &mut Self) -> D,
    ) -> Field<D> {
        match value {
            Value::Null => Field::Null,
            Value::Unknown => Field::Unknown,
            Value::Map(_) => Field::Known(read(value, self)),
            other => self.wrong_type("an object", other),
        }
    }

    /// Reads the attribute `name` of `object`.
    pub fn read<T: Attribute>(
        &mut self,
        object: &Value,
        name: &str,
        checks: &[&dyn Check<T::Draft>],
    ) -> Field<T::Draft> {
        self.inside(name, |reader| {
            let draft = T::draft(object.entry(name), reader);
            reader.check(&draft, checks);
            draft
        })
    }

    /// Reads the attribute `name` of `object`, or its default if it is left out.
    pub fn read_or<T: Attribute>(
        &mut self,
        object: &Value,
        name: &str,
        checks: &[&dyn Check<T::Draft>],
        default: impl FnOnce() -> T,
    ) -> Field<T::Draft> {
        match self.read::<T>(object, name, checks) {
            Field::Null => default().into_draft(),
            given => given,
        }
    }

    /// Reads an element of a list, set or map. Terraform asks for required attributes by itself, but
    /// lets null elements pass.
    pub fn element<T: Attribute>(&mut self, value: &Value) -> Field<T::Draft> {
        let draft = T::draft(value, self);
        if draft.is_null() && self.strict && !T::OPTIONAL {
            self.error("Element is null")
                .code(codes::MISSING)
                .detail("every element must have a value, and this one is null")
                .hint("give it a value, or leave the element out");
            return Field::Unknown;
        }
        draft
    }

    /// Notes every check that a known value breaks.
    pub fn check<D>(&mut self, draft: &Field<D>, checks: &[&dyn Check<D>]) {
        let (Field::Known(value), true) = (draft, self.strict) else {
            return;
        };
        for check in checks {
            if let Err(reason) = check.test(value) {
                self.error("Value breaks the rule of its attribute")
                    .code(codes::CHECK)
                    .detail(reason)
                    .hint(format!("use {}", check.describe()));
            }
        }
    }

    /// Notes when not exactly one, or more than one, of the members is set.
    pub fn choose(&mut self, exactly_one: bool, members: &[(&str, Field<()>)]) {
        if !self.strict {
            return;
        }
        let set: Vec<_> = members
            .iter()
            .filter(|(_, field)| field.is_known())
            .collect();
        let names = members
            .iter()
            .map(|(name, _)| format!("`{name}`"))
            .collect::<Vec<_>>();
        let all = names.join(", ");
        if exactly_one && members.iter().all(|(_, field)| field.is_null()) {
            self.error("One attribute of a group is missing")
                .code(codes::NONE_SET)
                .detail(format!("none of {all} is set"))
                .hint(format!("set exactly one of {all}"));
        }
        if set.len() > 1 {
            for (name, _) in set {
                let path = self.at.attribute(*name);
                self.found
                    .error(path, "Attributes exclude each other")
                    .code(codes::SEVERAL_SET)
                    .detail(format!("`{name}` is set together with another of {all}"))
                    .hint(format!("keep one of {all} and remove the others"));
            }
        }
    }

    /// Applies a rule over several fields.
    pub fn rule<D>(&mut self, draft: &D, rule: impl FnOnce(&D, &Path, &mut Findings)) {
        if self.strict {
            rule(draft, &self.at, self.found);
        }
    }

    /// The value, which must be known.
    pub fn present<T>(&mut self, field: Field<T>) -> Option<T> {
        match field {
            Field::Known(value) => return Some(value),
            Field::Null => self
                .error("Required value is missing")
                .code(codes::MISSING)
                .detail("this attribute must have a value")
                .hint("set it"),
            Field::Unknown => self
                .error("Value is not known yet")
                .code(codes::UNKNOWN)
                .detail("every value must be known here, and this one is not")
                .hint("report this as a defect of the provider"),
        };
        None
    }

    /// Reads one word of a closed list.
    pub fn choice<C: Choice>(&mut self, value: &Value) -> Field<C> {
        self.string(value, |text, reader| {
            let choice = C::ALL.iter().find(|choice| choice.word() == text).cloned();
            if choice.is_none() {
                reader
                    .error("Value is not allowed")
                    .code(codes::NOT_ALLOWED)
                    .detail(format!("{text:?} is not one of the allowed values"))
                    .hint(format!("use {}", C::describe().join(", ")));
            }
            choice
        })
    }

    /// Reads a checked string.
    pub fn text<T: Text>(&mut self, value: &Value) -> Field<T> {
        self.string(value, |text, reader| match T::from_text(text) {
            Ok(text) => Some(text),
            Err(reason) => {
                reader
                    .error("Value breaks the rule of its attribute")
                    .code(codes::CHECK)
                    .detail(reason)
                    .hint(format!("use {}", T::describe().join(" and ")));
                None
            }
        })
    }

    /// Reads a string with `read`, which notes why when it returns none.
    pub fn string<T>(
        &mut self,
        value: &Value,
        read: impl FnOnce(&str, &mut Self) -> Option<T>,
    ) -> Field<T> {
        match value {
            Value::Null => Field::Null,
            Value::Unknown => Field::Unknown,
            Value::String(text) => read(text, self).map_or(Field::Unknown, Field::Known),
            other => self.wrong_type("a string", other),
        }
    }

    /// Notes that a value is of another type.
    pub fn wrong_type<T>(&mut self, wanted: &str, value: &Value) -> Field<T> {
        let kind = match value {
            Value::Null => "null",
            Value::Unknown => "unknown",
            Value::Bool(_) => "a bool",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::List(_) => "a list",
            Value::Map(_) => "a map or object",
        };
        self.error("Value is of another type")
            .code(codes::WRONG_TYPE)
            .detail(format!("found {kind}, where {wanted} is needed"))
            .hint(format!("write {wanted}"));
        Field::Unknown
    }
}
