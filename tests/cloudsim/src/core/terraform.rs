//! Terraform's `http` state backend, so that state traffic is numbered and can be cut like any other.

use serde_json::{Value, json};

use super::{Answer, Call, World};

const STATES: &str = "terraform/states";
const LOCKS: &str = "terraform/locks";

/// The locked states, each with who holds the lock.
pub(super) fn locks(world: &World) -> Vec<(String, String)> {
    let who = |lock: &Value| lock["Who"].as_str().unwrap_or("somebody").to_owned();
    world
        .store
        .list(LOCKS)
        .map(|(name, lock)| (name.clone(), who(lock)))
        .collect()
}

/// Answers `/_sim/terraform/{name}`: GET, POST, DELETE, LOCK, UNLOCK.
pub(super) fn answer(world: &mut World, call: &Call) -> Answer {
    let [_, _, name] = call.segments.as_slice() else {
        return Answer::json(
            404,
            &json!({ "error": "the path is /_sim/terraform/{name}" }),
        );
    };
    let holder = world.store.find(LOCKS, name).cloned();
    let held_by_other = |id: Option<&str>| {
        holder
            .as_ref()
            .filter(|lock| id.is_none() || lock["ID"].as_str() != id)
    };
    match call.method.as_str() {
        "GET" => match world.store.find(STATES, name).and_then(Value::as_str) {
            Some(state) => Answer {
                body: state.to_owned().into(),
                ..Answer::json(200, &Value::Null)
            },
            None => Answer::empty(404),
        },
        "POST" => {
            if let Some(lock) = held_by_other(call.query("ID")) {
                return Answer::json(423, lock);
            }
            let state = String::from_utf8_lossy(&call.body).into_owned();
            world.store.put(STATES, name, Value::String(state));
            Answer::empty(200)
        }
        "DELETE" => {
            world.store.remove(STATES, name);
            Answer::empty(200)
        }
        "LOCK" => {
            if let Some(lock) = &holder {
                return Answer::json(423, lock);
            }
            world
                .store
                .put(LOCKS, name, call.json().unwrap_or(Value::Null));
            Answer::empty(200)
        }
        "UNLOCK" => {
            // `force-unlock` sends no body.
            let asked = call.json().unwrap_or(Value::Null);
            match held_by_other(asked["ID"].as_str()) {
                Some(lock) if asked["ID"].is_string() => Answer::json(409, lock),
                _ => {
                    world.store.remove(LOCKS, name);
                    Answer::empty(200)
                }
            }
        }
        _ => Answer::empty(405),
    }
}
