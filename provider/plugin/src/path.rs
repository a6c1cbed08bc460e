//! Where in a value something is: `node_pools["system"].max_nodes`.

use std::fmt;

use crate::value::Value;

/// One step down into a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// An attribute of an object.
    Attribute(String),
    /// An element of a map.
    Key(String),
    /// An element of a list or tuple.
    Index(usize),
}

/// The way from a resource's root to one of its parts. Terraform cannot point into a set: a path
/// that ends at the set itself is as deep as it goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Vec<Step>);

impl Path {
    /// The resource itself.
    pub fn root() -> Self {
        Self::default()
    }

    /// The attribute of this name inside the object here.
    #[must_use]
    pub fn attribute(&self, name: impl Into<String>) -> Self {
        self.step(Step::Attribute(name.into()))
    }

    /// The element of this key inside the map here.
    #[must_use]
    pub fn key(&self, key: impl Into<String>) -> Self {
        self.step(Step::Key(key.into()))
    }

    /// The element of this index inside the list here.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.step(Step::Index(index))
    }

    /// One step further.
    #[must_use]
    pub fn step(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// The steps from the root.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Whether this is the resource itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `inner` is this path or lies below it.
    pub fn contains(&self, inner: &Self) -> bool {
        inner.0.starts_with(&self.0)
    }

    /// What is at this path in `value`: null where nothing is, unknown inside an unknown.
    pub fn of<'v>(&self, value: &'v Value) -> &'v Value {
        self.0.iter().fold(value, |value, step| match step {
            Step::Attribute(name) | Step::Key(name) => value.entry(name),
            Step::Index(index) => match value {
                Value::Unknown => &Value::Unknown,
                value => value
                    .as_list()
                    .and_then(|list| list.get(*index))
                    .unwrap_or(&Value::Null),
            },
        })
    }
}

/// Prints a path as a user would write it in HCL.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Attribute(name) if position == 0 => f.write_str(name)?,
                Step::Attribute(name) => write!(f, ".{name}")?,
                Step::Key(key) => write!(f, "[{key:?}]")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_prints_as_hcl_and_finds_its_value() {
        let path = Path::root()
            .attribute("pools")
            .key("system")
            .attribute("zones")
            .index(1);
        assert_eq!(path.to_string(), r#"pools["system"].zones[1]"#);
        let zones = Value::map([("zones", Value::list(["1".into(), "2".into()]))]);
        let value = Value::map([("pools", Value::map([("system", zones)]))]);
        assert_eq!(path.of(&value), &"2".into());
        assert_eq!(path.index(0).of(&value), &Value::Null);
        assert_eq!(
            path.of(&Value::map([("pools", Value::Unknown)])),
            &Value::Unknown
        );
    }

    #[test]
    fn a_path_contains_what_lies_below_it() {
        let pools = Path::root().attribute("pools");
        assert!(pools.contains(&pools.key("a")));
        assert!(!pools.key("a").contains(&pools));
    }
}
