//! Configurations of clusters: a plain one for each cloud, and one line for each change to it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// A plain AKS cluster with a pool for the system and one for workloads.
const AKS: &str = r#"
region = "westeurope"
kubernetes_version = "1.34"
profile = "cost_optimized"
azure = {}
deletion_protection = false
node_pools.system = { mode = "system", vcpu = 2, memory_gb = 8, min_nodes = 1, max_nodes = 3 }
node_pools.work = { vcpu = 2, memory_gb = 8, min_nodes = 1, max_nodes = 3 }
"#;

/// A plain GKE cluster with the same pools.
const GKE: &str = r#"
region = "europe-west1"
kubernetes_version = "1.33"
profile = "cost_optimized"
google = {}
deletion_protection = false
network.subnet_id = "projects/paymesh-hub/regions/europe-west1/subnetworks/default"
network.pods_range = "pods"
network.services_range = "services"
node_pools.system = { mode = "system", vcpu = 2, memory_gb = 8, min_nodes = 3, max_nodes = 6 }
node_pools.work = { vcpu = 2, memory_gb = 8, min_nodes = 3, max_nodes = 6 }
"#;

/// The cloud of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Provider {
    /// Azure.
    Aks,
    /// Google Cloud.
    Gke,
}

/// One `paymesh_cluster`.
#[derive(Clone, Debug)]
pub struct ClusterBlock {
    label: String,
    root: BTreeMap<String, Expression>,
}

#[derive(Clone, Debug)]
enum Expression {
    Text(String),
    Object(BTreeMap<String, Expression>),
}

impl ClusterBlock {
    /// A plain cluster with this address and name.
    pub fn plain(provider: Provider, label: &str) -> Self {
        let block = Self {
            label: label.to_owned(),
            root: BTreeMap::new(),
        };
        let lines = match provider {
            Provider::Aks => AKS,
            Provider::Gke => GKE,
        };
        lines
            .trim()
            .lines()
            .fold(block.with(&format!("name = \"{label}\"")), |block, line| {
                block.with(line)
            })
    }

    /// The cluster with some attributes set: `node_pools.work.max_nodes = 1; standby = true`.
    /// The value `absent` takes an attribute or a pool away.
    #[must_use]
    pub fn with(mut self, changes: &str) -> Self {
        for change in changes.split("; ").filter(|change| !change.is_empty()) {
            let (path, value) = change
                .split_once(" = ")
                .unwrap_or_else(|| panic!("{change:?} is not `path = value`"));
            let path: Vec<&str> = path.trim().split('.').collect();
            let value = value.trim();
            let value = (value != "absent").then(|| Expression::parse(value));
            set(&mut self.root, &path, value);
        }
        self
    }

    /// Whether the attribute is set: `node_pools.*.spot`, with `*` for any key or index.
    pub fn sets(&self, path: &str) -> bool {
        let steps: Vec<&str> = path.split('.').collect();
        holds(&self.root, &steps)
    }

    /// What can be left out: attributes and objects whose path is among those that are optional
    /// (`node_pools.*.spot`).
    pub fn removable(&self, optional: &BTreeSet<String>) -> Vec<String> {
        let mut all = Vec::new();
        collect(&self.root, "", "", optional, &mut all);
        all
    }

    /// What is set at `path`, as it is written.
    pub fn value(&self, path: &str) -> Option<String> {
        let mut object = &self.root;
        let mut steps = path.split('.').peekable();
        loop {
            let found = object.get(steps.next()?)?;
            match found {
                _ if steps.peek().is_none() => return Some(found.to_string()),
                Expression::Object(inner) => object = inner,
                Expression::Text(_) => return None,
            }
        }
    }

    /// The cluster without what is at `path`.
    #[must_use]
    pub fn without(self, path: &str) -> Self {
        self.with(&format!("{path} = absent"))
    }

    /// The address of the resource.
    pub fn address(&self) -> String {
        format!("paymesh_cluster.{}", self.label)
    }
}

impl Expression {
    /// An object in braces becomes a tree, so that a later line can change what is inside.
    fn parse(text: &str) -> Self {
        let inner = text
            .strip_prefix('{')
            .and_then(|text| text.strip_suffix('}'));
        let Some(inner) = inner else {
            return Self::Text(text.to_owned());
        };
        let mut object = BTreeMap::new();
        for entry in split(inner) {
            let (key, value) = entry
                .split_once('=')
                .unwrap_or_else(|| panic!("{entry:?} is not `key = value`"));
            let key = key.trim().trim_matches('"').to_owned();
            object.insert(key, Self::parse(value.trim()));
        }
        Self::Object(object)
    }
}

/// The entries between the commas of the outermost level.
fn split(text: &str) -> Vec<&str> {
    let (mut depth, mut quoted, mut start) = (0_i32, false, 0);
    let mut entries = Vec::new();
    for (at, letter) in text.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            '{' | '[' | '(' if !quoted => depth += 1,
            '}' | ']' | ')' if !quoted => depth -= 1,
            ',' if !quoted && depth == 0 => {
                entries.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    entries.push(&text[start..]);
    entries.retain(|entry| !entry.trim().is_empty());
    entries
}

fn set(object: &mut BTreeMap<String, Expression>, path: &[&str], value: Option<Expression>) {
    let [step, rest @ ..] = path else { return };
    if rest.is_empty() {
        match value {
            Some(value) => object.insert((*step).to_owned(), value),
            None => object.remove(*step),
        };
        return;
    }
    let entry = object
        .entry((*step).to_owned())
        .or_insert_with(|| Expression::Object(BTreeMap::new()));
    if matches!(entry, Expression::Text(_)) {
        *entry = Expression::Object(BTreeMap::new());
    }
    if let Expression::Object(inner) = entry {
        set(inner, rest, value);
    }
}

/// Adds the paths in `object` that can be left out. `general` is the path with `*` for keys.
fn collect(
    object: &BTreeMap<String, Expression>,
    path: &str,
    general: &str,
    optional: &BTreeSet<String>,
    all: &mut Vec<String>,
) {
    for (name, value) in object {
        let path = format!("{path}{name}");
        let (named, keyed) = (format!("{general}{name}"), format!("{general}*"));
        let is_key = optional
            .iter()
            .any(|it| it == &keyed || it.starts_with(&format!("{keyed}.")));
        let general = if is_key { keyed } else { named };
        if let Expression::Object(inner) = value {
            let (path, general) = (format!("{path}."), format!("{general}."));
            collect(inner, &path, &general, optional, all);
        }
        if !is_key && optional.contains(&general) {
            all.push(path);
        }
    }
}

fn holds(object: &BTreeMap<String, Expression>, path: &[&str]) -> bool {
    let [step, rest @ ..] = path else { return true };
    let entries = object.iter().filter(|(key, _)| *step == "*" || key == step);
    entries.into_iter().any(|(_, value)| match value {
        Expression::Object(inner) => holds(inner, rest),
        // The objects of a list are not taken apart.
        Expression::Text(text) => rest
            .last()
            .is_none_or(|name| text.contains(&format!("{name} = "))),
    })
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Object(entries) => {
                f.write_str("{\n")?;
                for (key, value) in entries {
                    writeln!(f, "{key:?} = {value}")?;
                }
                f.write_str("}")
            }
        }
    }
}

impl fmt::Display for ClusterBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "resource \"paymesh_cluster\" \"{}\" {{", self.label)?;
        for (key, value) in &self.root {
            writeln!(f, "  {key} = {value}")?;
        }
        f.write_str("}\n")
    }
}

/// A configuration of these clusters.
pub fn configuration<'a>(clusters: impl IntoIterator<Item = &'a ClusterBlock>) -> String {
    clusters.into_iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_changes_what_is_inside_an_object() {
        let block = ClusterBlock::plain(Provider::Aks, "one").with(
            r#"azure = { pods_cidr = "10.0.0.0/8" }; node_pools.system.zones = ["1", "2"]; node_pools.work = absent"#,
        );
        let text = block.to_string();
        for line in [
            r#""pods_cidr" = "10.0.0.0/8""#,
            r#""zones" = ["1", "2"]"#,
            r#""max_nodes" = 3"#,
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
        assert!(!text.contains("work"), "{text}");
    }
}
