//! What is remembered between runs, in Terraform's private data. Versioned: a later release reads
//! what an earlier one wrote.

use std::collections::BTreeSet;

use indexmap::IndexSet;
use serde::{Deserialize, Serialize};

use crate::{Holder, ObjectId, OperationId, decide::LOOK};

const VERSION: u32 = 1;

/// What a finished or unfinished run leaves for the next.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory {
    /// The holder written on what this entry owns. `None` before an import has read anything.
    pub holder: Option<Holder>,
    /// The owner whose mark the principal was last seen to bear, if it was the configuration's.
    pub owner: Option<String>,
    /// What an import found, until the entry has written its own holder.
    pub imported: Option<Imported>,
    /// The objects this entry owns.
    pub objects: IndexSet<ObjectId>,
    /// What a run that stopped left running or undone.
    pub unfinished: Vec<Unfinished>,
    /// What objects asked to have remembered.
    pub remarks: Vec<Remark>,
    /// The tags and labels that were written, so that those wanted no more are removed.
    pub keys: Vec<Keys>,
}

/// An entry that was imported and has written nothing yet. Its first write takes the principal
/// over, so that every other entry of the same object is stale from then on; until then it is
/// stale itself once the object bears a holder that is neither its own nor the one found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// The holder that the principal bore, if it bore one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<Holder>,
}

/// The open-ended entries that an object was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys {
    /// The object.
    pub object: ObjectId,
    /// As [`Object::keys`](crate::Object::keys) names them.
    pub keys: BTreeSet<String>,
}

/// What an object asked to have remembered: what neither the configuration nor the object's own
/// place in the cloud can tell a later run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remark {
    /// The object.
    pub object: ObjectId,
    /// Its own words. Never a secret.
    pub text: String,
}

/// One thing that a run left unfinished.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// The object.
    pub object: ObjectId,
    /// The step that was running or is next: `create`, `control plane 1.32 -> 1.33`.
    pub step: String,
    /// The operation that runs for it, if one does.
    pub operation: Option<OperationId>,
}

impl Unfinished {
    /// Whether it is nothing but a look at the object.
    pub fn only_looks(&self) -> bool {
        self.operation.is_none() && self.step == LOOK
    }
}

/// Memory that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// It is not what any release wrote.
    #[error("the private data of this resource is damaged")]
    Damaged(#[source] serde_json::Error),
    /// A newer release wrote it.
    #[error(
        "the private data of this resource has version {0}, this provider reads up to {VERSION}: use the newer provider"
    )]
    Newer(u32),
}

#[derive(Serialize, Deserialize)]
struct Version {
    v: u32,
}

#[derive(Serialize, Deserialize)]
struct MemoryV1 {
    v: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    holder: Option<Holder>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    imported: Option<Imported>,
    #[serde(default)]
    objects: IndexSet<ObjectId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unfinished: Vec<Unfinished>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    remarks: Vec<Remark>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    keys: Vec<Keys>,
}

impl Memory {
    /// The holder that the principal is known to bear: the one found until this entry's own is
    /// written.
    pub fn borne_holder(&self) -> Option<&Holder> {
        let found = self.imported.as_ref().and_then(|it| it.holder.as_ref());
        found.or(self.holder.as_ref())
    }

    /// The entries that `id` was given.
    pub(crate) fn keys_of(&self, id: &ObjectId) -> BTreeSet<String> {
        let known = self.keys.iter().filter(|it| it.object == *id);
        known.flat_map(|it| it.keys.iter().cloned()).collect()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote. Empty bytes are the memory of nothing.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MemoryError> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        let Version { v } = serde_json::from_slice(bytes).map_err(MemoryError::Damaged)?;
        if v > VERSION {
            return Err(MemoryError::Newer(v));
        }
        let MemoryV1 {
            v: _,
            holder,
            owner,
            imported,
            objects,
            unfinished,
            remarks,
            keys,
        } = serde_json::from_slice(bytes).map_err(MemoryError::Damaged)?;
        Ok(Self {
            holder,
            owner,
            imported,
            objects,
            unfinished,
            remarks,
            keys,
        })
    }

    /// The memory as bytes; never empty.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self {
            holder,
            owner,
            imported,
            objects,
            unfinished,
            remarks,
            keys,
        } = self.clone();
        serde_json::to_vec(&MemoryV1 {
            v: VERSION,
            holder,
            owner,
            imported,
            objects,
            unfinished,
            remarks,
            keys,
        })
        .expect("strings and lists always serialise")
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn memory() -> Memory {
        let pool = ObjectId::new("pool", "a");
        Memory {
            holder: Some(Holder::found("h1")),
            objects: [pool.clone()].into(),
            unfinished: vec![Unfinished {
                object: pool,
                step: "create".into(),
                operation: Some(OperationId {
                    name: "op-1".into(),
                    token: "https://x".into(),
                }),
            }],
            ..Memory::default()
        }
    }

    #[test]
    fn the_first_version_reads_for_ever() {
        let text = String::from_utf8(memory().to_bytes()).unwrap();
        expect![[r#"{"v":1,"holder":"h1","objects":[{"kind":"pool","name":"a"}],"unfinished":[{"object":{"kind":"pool","name":"a"},"step":"create","operation":{"name":"op-1","token":"https://x"}}]}"#]].assert_eq(&text);
        assert_eq!(Memory::from_bytes(text.as_bytes()).unwrap(), memory());
    }

    #[test]
    fn remarks_are_read_again() {
        let mut memory = memory();
        let object = ObjectId::new("role", "a");
        memory.remarks.push(Remark {
            object,
            text: "p-1".into(),
        });
        assert_eq!(Memory::from_bytes(&memory.to_bytes()).unwrap(), memory);
    }

    #[test]
    fn an_import_is_remembered_until_its_first_write() {
        let mut memory = memory();
        memory.imported = Some(Imported {
            holder: Some(Holder::found("theirs")),
        });
        assert_eq!(Memory::from_bytes(&memory.to_bytes()).unwrap(), memory);
        assert_eq!(memory.borne_holder(), Some(&Holder::found("theirs")));
        memory.imported = Some(Imported { holder: None });
        assert_eq!(memory.borne_holder(), Some(&Holder::found("h1")));
    }

    #[test]
    fn a_look_that_something_runs_for_is_more_than_a_look() {
        let left = |step: &str, operation| Unfinished {
            object: ObjectId::new("pool", "a"),
            step: step.into(),
            operation,
        };
        let operation = OperationId {
            name: "op-1".into(),
            token: "https://x".into(),
        };
        assert!(left(LOOK, None).only_looks());
        assert!(!left(LOOK, Some(operation)).only_looks());
        assert!(!left("create", None).only_looks());
    }

    #[test]
    fn no_bytes_are_the_memory_of_nothing() {
        assert_eq!(Memory::from_bytes(b"").unwrap(), Memory::default());
    }

    #[test]
    fn a_newer_version_is_refused_and_damage_is_told() {
        assert!(matches!(
            Memory::from_bytes(br#"{"v":2}"#),
            Err(MemoryError::Newer(2))
        ));
        assert!(matches!(
            Memory::from_bytes(b"[]"),
            Err(MemoryError::Damaged(_))
        ));
    }
}
