//! The control API under `/_sim`: what the harness and the command line see and change.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    Answer, Call,
    fault::{Release, Rule},
    server::Server,
};

/// Answers everything under `/_sim` except Terraform's state.
pub(super) async fn answer(server: &Server, call: &Call) -> Answer {
    let path: Vec<&str> = call.segments.iter().skip(1).map(String::as_str).collect();
    let body = match call.json() {
        Ok(body) => body,
        Err(error) => return wrong(&format!("the body is no JSON: {error}")),
    };
    match (call.method.as_str(), path.as_slice()) {
        ("GET", ["health"]) => Answer::json(
            200,
            &json!({ "status": "ready", "pid": std::process::id() }),
        ),
        ("GET", ["state"]) => state(server),
        ("GET", ["inventory"]) => inventory(server),
        ("GET", ["operations"]) => {
            let mut world = server.world();
            world.settle(&server.apis);
            world.commit();
            Answer::json(200, &json!({ "operations": world.operations() }))
        }
        ("POST", ["operations", id, "release"]) => {
            if server.world().release_operation(id) {
                Answer::json(200, &json!({ "released": id }))
            } else {
                nothing(&format!("no operation {id:?} hangs"))
            }
        }
        ("GET", ["journal"]) => {
            let since = call
                .query("since")
                .and_then(|since| since.parse().ok())
                .unwrap_or(0);
            Answer::json(
                200,
                &json!({ "entries": server.world().journal.since(since) }),
            )
        }
        ("GET", ["clock"]) => clock(server),
        ("POST", ["clock"]) => {
            if let Err(error) = server.world().clock.obey(&body) {
                return wrong(&error);
            }
            if let Some(polls) = body.get("operation_polls") {
                server.world().operation_polls =
                    polls.as_u64().and_then(|polls| u32::try_from(polls).ok());
            }
            if let Some(drifts) = body["drift"].as_bool() {
                server.world().drifts = drifts;
            }
            server.publish();
            clock(server)
        }
        ("GET", ["faults"]) => {
            Answer::json(200, &json!({ "faults": server.world().faults.show() }))
        }
        ("POST", ["faults"]) => match serde_json::from_value::<Rule>(body) {
            Ok(rule) => {
                let mut world = server.world();
                let world = &mut *world;
                let now = world.clock.now();
                match world.faults.add(rule, now, || world.store.past()) {
                    Ok(id) => Answer::json(201, &json!({ "id": id })),
                    Err(error) => wrong(&error),
                }
            }
            Err(error) => wrong(&format!("no such fault: {error}")),
        },
        ("DELETE", ["faults"]) => {
            let gone = server.world().faults.remove(None);
            Answer::json(200, &json!({ "removed": gone }))
        }
        ("DELETE", ["faults", id]) => match server.world().faults.remove(Some(id)) {
            0 => nothing(&format!("no fault {id:?}")),
            gone => Answer::json(200, &json!({ "removed": gone })),
        },
        ("GET", ["faults", id, "held"]) => held(server, id, call).await,
        ("POST", ["faults", id, "release"]) => {
            let release = if body["cut"] == true {
                Release::Cut
            } else {
                Release::Continue
            };
            if server.world().faults.release(id, release) {
                Answer::json(200, &json!({ "released": id }))
            } else {
                nothing(&format!("no fault {id:?}"))
            }
        }
        ("GET", ["export"]) => Answer::json(200, &server.export()),
        ("POST", ["import"]) => match server.import(&body) {
            Ok(()) => Answer::json(200, &json!({ "status": "imported" })),
            Err(error) => wrong(&error),
        },
        ("POST", ["reset"]) => match server.reset() {
            Ok(()) => Answer::json(200, &json!({ "status": "reset" })),
            Err(error) => Answer::json(500, &json!({ "error": error })),
        },
        _ => nothing(&format!(
            "{} {} is no part of the control API",
            call.method, call.path
        )),
    }
}

/// Waits up to `wait` seconds (10 unless told) until a request is held.
async fn held(server: &Server, id: &str, call: &Call) -> Answer {
    const STEP: Duration = Duration::from_millis(5);
    let wait = call
        .query("wait")
        .and_then(|wait| wait.parse().ok())
        .unwrap_or(10u32)
        .min(600);
    for _ in 0..=wait * 200 {
        let shown = server.world().faults.show();
        let rule = shown
            .as_array()
            .and_then(|rules| rules.iter().find(|rule| rule["id"] == id))
            .cloned();
        match rule {
            None => return nothing(&format!("no fault {id:?}")),
            Some(rule) if rule["held"].as_array().is_some_and(|held| !held.is_empty()) => {
                return Answer::json(200, &rule);
            }
            Some(_) => tokio::time::sleep(STEP).await,
        }
    }
    Answer::json(
        408,
        &json!({ "error": format!("no request was held by {id:?} within {wait} s") }),
    )
}

fn clock(server: &Server) -> Answer {
    let world = server.world();
    let mut shown = world.clock.show();
    shown["operation_polls"] = json!(world.operation_polls);
    shown["drift"] = json!(world.drifts);
    Answer::json(200, &shown)
}

fn inventory(server: &Server) -> Answer {
    let mut world = server.world();
    world.settle(&server.apis);
    world.commit();
    let mut all = Map::new();
    for api in &server.apis {
        all.insert(api.name().into(), Value::Array(api.inventory(&world)));
    }
    Answer::json(200, &Value::Object(all))
}

fn state(server: &Server) -> Answer {
    let world = server.world();
    let running = world
        .operations()
        .iter()
        .filter(|operation| operation.running())
        .count();
    Answer::json(
        200,
        &json!({
            "simulator": server.card(&world),
            "clock": world.clock.show(),
            "operation_polls": world.operation_polls,
            "drift": world.drifts,
            "operations_running": running,
            "requests": world.journal.since(0).len(),
            "faults": world.faults.show(),
        }),
    )
}

fn wrong(message: &str) -> Answer {
    Answer::json(400, &json!({ "error": message }))
}

fn nothing(message: &str) -> Answer {
    Answer::json(404, &json!({ "error": message }))
}
