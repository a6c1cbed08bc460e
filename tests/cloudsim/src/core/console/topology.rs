//! What exists, as nested boxes: cloud, subscription or project, group, region, cluster, pool.
//!
//! The nesting is read from the ids. Boxes and leaves stand in the order of their names, so the
//! same world always gives the same picture. Small things are drawn as one line per kind.

use std::collections::BTreeMap;

use askama::Template;
use serde::Serialize;

use super::look::{Health, Look, Thing, object_href};

/// How many boxes are drawn inside one box; the rest is counted.
const WIDTH: usize = 60;

/// One box.
#[derive(Debug, Template, Serialize)]
#[template(path = "console/block.html")]
pub(super) struct Block {
    /// `cloud`, `subscription`, `project`, `group`, `region`, `cluster` or `pool`.
    pub(super) level: &'static str,
    pub(super) name: String,
    /// The page of the object, if the box is one.
    pub(super) href: Option<String>,
    /// The worst in it.
    pub(super) health: Health,
    pub(super) state: String,
    /// How the object itself is.
    pub(super) own: Health,
    /// What is worth a glance.
    pub(super) notes: Vec<String>,
    pub(super) blocks: Vec<Block>,
    pub(super) leaves: Vec<Leaf>,
    /// How many boxes are not drawn.
    pub(super) hidden: usize,
}

/// All things of one small kind in a box.
#[derive(Debug, Serialize)]
pub(super) struct Leaf {
    pub(super) kind: String,
    pub(super) count: usize,
    pub(super) health: Health,
    /// Each thing's name and page.
    pub(super) things: Vec<(String, String)>,
}

/// The clouds, each with all that is in it.
pub(super) fn blocks(look: &Look) -> Vec<Block> {
    let homes: BTreeMap<String, &str> = look
        .things
        .iter()
        .filter_map(|thing| Some((thing.id.to_ascii_lowercase(), thing.region.as_deref()?)))
        .collect();
    let mut root = Node::default();
    for thing in &look.things {
        // What names no region is where the nearest thing around it is: a pool with its cluster.
        let id = thing.id.to_ascii_lowercase();
        let around = id
            .rmatch_indices('/')
            .find_map(|(at, _)| homes.get(&id[..at]));
        root.add(thing, thing.region.as_deref().or(around.copied()));
    }
    root.draw("", "").blocks
}

#[derive(Default)]
struct Node<'a> {
    thing: Option<&'a Thing>,
    /// Level and name in lower case (Azure spells one id in several cases), to the name as spelt
    /// first and the box.
    below: BTreeMap<(Rank, String), (String, Node<'a>)>,
    leaves: BTreeMap<String, Vec<&'a Thing>>,
}

/// The levels, from the outside in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Cloud,
    Subscription,
    Project,
    Group,
    Region,
    Cluster,
    Pool,
}

impl Rank {
    /// The level that a segment of an id opens.
    fn of(segment: &str) -> Option<Self> {
        Some(match segment.to_ascii_lowercase().as_str() {
            "subscriptions" => Self::Subscription,
            "projects" => Self::Project,
            "resourcegroups" => Self::Group,
            "locations" | "zones" => Self::Region,
            "managedclusters" | "clusters" => Self::Cluster,
            "agentpools" | "nodepools" => Self::Pool,
            _ => return None,
        })
    }

    fn word(self) -> &'static str {
        match self {
            Self::Cloud => "cloud",
            Self::Subscription => "subscription",
            Self::Project => "project",
            Self::Group => "group",
            Self::Region => "region",
            Self::Cluster => "cluster",
            Self::Pool => "pool",
        }
    }
}

/// The way from the outermost box to the thing, and whether the last box is the thing itself.
fn way(thing: &Thing, region: Option<&str>) -> (Vec<(Rank, String)>, bool) {
    let words: Vec<&str> = thing
        .id
        .split('/')
        .filter(|word| !word.is_empty())
        .collect();
    let mut way = vec![(Rank::Cloud, thing.cloud.to_owned())];
    let mut is_box = false;
    for pair in words.windows(2) {
        if let Some(rank) = Rank::of(pair[0]) {
            way.push((rank, pair[1].to_owned()));
            is_box = words.last() == Some(&pair[1]);
        }
    }
    // Azure's ids do not name the region that a thing is in.
    if let (Some(region), Some(at)) = (
        region,
        way.iter().position(|(rank, _)| *rank == Rank::Group),
    ) && (!is_box || way.len() > at + 1)
    {
        way.insert(at + 1, (Rank::Region, region.to_owned()));
    }
    (way, is_box)
}

impl<'a> Node<'a> {
    fn add(&mut self, thing: &'a Thing, region: Option<&str>) {
        let (way, is_box) = way(thing, region);
        let mut node = self;
        for (rank, name) in way {
            let key = (rank, name.to_ascii_lowercase());
            node = &mut node
                .below
                .entry(key)
                .or_insert_with(|| (name, Node::default()))
                .1;
        }
        if is_box {
            node.thing = Some(thing);
        } else {
            node.leaves
                .entry(thing.kind.clone())
                .or_default()
                .push(thing);
        }
    }

    fn draw(&self, level: &'static str, name: &str) -> Block {
        let mut blocks: Vec<Block> = self
            .below
            .iter()
            .map(|((rank, _), (name, node))| node.draw(rank.word(), name))
            .collect();
        let leaves: Vec<Leaf> = self
            .leaves
            .iter()
            .map(|(kind, things)| Leaf {
                kind: kind.clone(),
                count: things.len(),
                health: things
                    .iter()
                    .map(|thing| thing.health)
                    .max()
                    .unwrap_or(Health::Good),
                things: things
                    .iter()
                    .map(|thing| (thing.name.clone(), thing.href()))
                    .collect(),
            })
            .collect();
        let own = self.thing.map_or(Health::Good, |thing| thing.health);
        let health = blocks
            .iter()
            .map(|block| block.health)
            .chain(leaves.iter().map(|leaf| leaf.health))
            .chain([own])
            .max()
            .unwrap_or(own);
        let hidden = blocks.len().saturating_sub(WIDTH);
        blocks.truncate(WIDTH);
        Block {
            level,
            name: self
                .thing
                .map_or_else(|| name.to_owned(), |thing| thing.name.clone()),
            href: self.thing.map(|thing| object_href(&thing.id)),
            health,
            own,
            state: self
                .thing
                .map(|thing| thing.state.clone())
                .unwrap_or_default(),
            notes: self
                .thing
                .map(|thing| thing.facts.iter().map(note).collect())
                .unwrap_or_default(),
            blocks,
            leaves,
            hidden,
        }
    }
}

/// A fact short enough to stand in a box.
fn note((key, value): &(String, String)) -> String {
    match key.as_str() {
        "nodes" if value == "1" => "1 node".into(),
        "nodes" => format!("{value} nodes"),
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use expect_test::{Expect, expect};
    use serde_json::{Value, json};

    use super::*;

    fn check_topology(things: &[(&'static str, Value)], expected: &Expect) {
        let look = Look::of_things(
            things
                .iter()
                .map(|(cloud, raw)| Thing::new(cloud, raw))
                .collect(),
        );
        let mut text = String::new();
        for block in blocks(&look) {
            write(&block, 0, &mut text);
        }
        expected.assert_eq(&text);
    }

    fn write(block: &Block, depth: usize, text: &mut String) {
        let line = [
            format!(
                "{}{} {} {}",
                "  ".repeat(depth),
                block.level,
                block.name,
                block.health.class()
            ),
            block.notes.join(", "),
        ];
        text.push_str(line.join(" ").trim_end());
        text.push('\n');
        for leaf in &block.leaves {
            let margin = "  ".repeat(depth + 1);
            writeln!(text, "{margin}{} x {}", leaf.count, leaf.kind).unwrap();
        }
        for block in &block.blocks {
            write(block, depth + 1, text);
        }
    }

    #[test]
    fn azure_pools_stand_in_their_clusters_region_however_the_id_is_spelt() {
        let cluster = "/subscriptions/s/resourcegroups/rg/providers/Microsoft.ContainerService/managedClusters/pay";
        let pool = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/pay/agentPools/system";
        check_topology(
            &[
                (
                    "azure",
                    json!({ "type": "Microsoft.Resources/resourceGroups", "id": "/subscriptions/s/resourceGroups/rg", "location": "westeurope", "state": "Succeeded" }),
                ),
                (
                    "azure",
                    json!({ "type": "Microsoft.ContainerService/ManagedClusters", "id": cluster, "location": "westeurope", "state": "Stopped" }),
                ),
                (
                    "azure",
                    json!({ "type": "Microsoft.ContainerService/managedClusters/agentPools", "id": pool, "state": "Failed", "nodes": 3, "machine_type": "Standard_D4s_v5" }),
                ),
                (
                    "azure",
                    json!({ "type": "Microsoft.ManagedIdentity/userAssignedIdentities", "id": "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/pay", "location": "westeurope" }),
                ),
            ],
            &expect![[r#"
                cloud azure bad
                  subscription s bad
                    group rg bad
                      region westeurope bad
                        1 x userAssignedIdentities
                        cluster pay bad
                          pool system bad Standard_D4s_v5, 3 nodes
            "#]],
        );
    }

    #[test]
    fn google_regions_stand_in_their_project() {
        check_topology(
            &[
                (
                    "google",
                    json!({ "type": "iam.googleapis.com/ServiceAccount", "id": "projects/p/serviceAccounts/pay@p.iam" }),
                ),
                (
                    "google",
                    json!({ "type": "container.googleapis.com/Cluster", "id": "projects/p/locations/europe-west1/clusters/pay", "status": "RECONCILING" }),
                ),
                (
                    "google",
                    json!({ "type": "container.googleapis.com/NodePool", "id": "projects/p/locations/europe-west1/clusters/pay/nodePools/a", "status": "RUNNING", "nodes": 1 }),
                ),
            ],
            &expect![[r#"
                cloud google busy
                  project p busy
                    1 x ServiceAccount
                    region europe-west1 busy
                      cluster pay busy
                        pool a good 1 node
            "#]],
        );
    }
}
