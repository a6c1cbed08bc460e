//! Resources as the store keeps them: the body as shown, and private facts under `_kept`.

use serde_json::{Value, json};

use super::path::key;
use crate::core::World;

const TABLE: &str = "azure/resources";
const KEPT: &str = "_kept";

/// The document of `id`.
pub(super) fn find<'a>(world: &'a World, id: &str) -> Option<&'a Value> {
    world.store.find(TABLE, &key(id))
}

/// Writes the document of `id`.
pub(super) fn put(world: &mut World, id: &str, body: Value) {
    world.store.put(TABLE, &key(id), body);
}

/// Changes the document of `id`; false if there is none.
pub(super) fn change(world: &mut World, id: &str, by: impl FnOnce(&mut Value)) -> bool {
    world.store.change(TABLE, &key(id), by)
}

/// Forgets `id` and everything below it.
pub(super) fn remove(world: &mut World, id: &str) {
    let id = key(id);
    for below in world.store.keys(TABLE, &format!("{id}/")) {
        world.store.remove(TABLE, &below);
    }
    world.store.remove(TABLE, &id);
}

/// Everything whose id starts with `prefix`, in order of id.
pub(super) fn below<'a>(
    world: &'a World,
    prefix: &str,
) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
    let prefix = format!("{}/", key(prefix));
    world
        .store
        .list(TABLE)
        .filter(move |(id, _)| id.starts_with(&prefix))
}

/// Everything of a type (compared without case), in order of id.
pub(super) fn of_type<'a>(
    world: &'a World,
    kind: &str,
) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
    let kind = kind.to_ascii_lowercase();
    world.store.list(TABLE).filter(move |(_, body)| {
        body["type"]
            .as_str()
            .is_some_and(|of| of.eq_ignore_ascii_case(&kind))
    })
}

/// Everything.
pub(super) fn all(world: &World) -> impl Iterator<Item = (&String, &Value)> {
    world.store.list(TABLE)
}

/// A body as clients see it.
pub(super) fn bare(body: &Value) -> Value {
    let mut body = body.clone();
    if let Some(body) = body.as_object_mut() {
        body.shift_remove(KEPT);
    }
    body
}

/// The resource `id` as clients see it.
pub(super) fn shown(world: &World, id: &str) -> Option<Value> {
    let body = find(world, id)?;
    if body["type"]
        .as_str()
        .is_some_and(|kind| kind.eq_ignore_ascii_case(super::cluster::TYPE))
    {
        return Some(super::cluster::shown(world, body));
    }
    Some(bare(body))
}

/// A private fact of a body.
pub(super) fn kept<'a>(body: &'a Value, name: &str) -> &'a Value {
    &body[KEPT][name]
}

/// Sets a private fact of a body.
pub(super) fn keep(body: &mut Value, name: &str, value: Value) {
    if !body[KEPT].is_object() {
        body[KEPT] = json!({});
    }
    body[KEPT][name] = value;
}

/// Adds what `defaults` has and `body` lacks, at every depth of objects.
pub(super) fn fill(body: &mut Value, defaults: &Value) {
    let Some(defaults) = defaults.as_object() else {
        return;
    };
    if body.is_null() {
        *body = json!({});
    }
    let Some(body) = body.as_object_mut() else {
        return;
    };
    for (name, default) in defaults {
        match body.get_mut(name) {
            None => {
                body.insert(name.clone(), default.clone());
            }
            Some(value) if value.is_null() => *value = default.clone(),
            Some(value) => fill(value, default),
        }
    }
}

/// The value of a member, whatever the case of its name.
pub(super) fn get_nocase<'a>(body: &'a Value, name: &str) -> Option<&'a Value> {
    body.as_object()?
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}
