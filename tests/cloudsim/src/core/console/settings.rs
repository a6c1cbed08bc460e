//! What can be done by hand: faults, clock, reset. Each form says to the control API what any
//! client could say.

use askama::Template;
use http::HeaderMap;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    frame::Frame,
    look::{Look, plain},
};
use crate::core::{Call, control, server::Server};

#[derive(Template, Serialize)]
#[template(path = "console/settings.html")]
pub(super) struct Settings {
    #[serde(skip)]
    frame: Frame,
    faults: Vec<Fault>,
    /// What the clock says, and after how many polls operations end if not by the clock.
    now: String,
    speed: String,
    polls: Option<u32>,
    error: Option<String>,
}

/// One rule.
#[derive(Serialize)]
struct Fault {
    id: String,
    /// What it does, in words.
    what: String,
    /// To which requests, in words.
    which: String,
    fired: String,
    held: usize,
}

pub(super) fn page(look: &Look, call: &Call, error: Option<String>) -> Settings {
    Settings {
        frame: Frame::new(look, call, "Faults and clock"),
        faults: look.faults.iter().map(Fault::new).collect(),
        now: look.now.time.clone(),
        speed: look.speed.clone(),
        polls: look.polls,
        error,
    }
}

impl Fault {
    fn new(rule: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or("any").replace('_', " ");
        let is_empty = |value: &Value| match value {
            Value::Null => true,
            Value::Object(map) => map.is_empty(),
            Value::Array(list) => list.is_empty(),
            Value::String(text) => text.is_empty(),
            _ => false,
        };
        let details = rule["action"]
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, value)| *key != "kind" && !is_empty(value))
            .map(|(key, value)| format!("{} {}", key.replace('_', " "), plain(value)));
        let what = std::iter::once(text(&rule["action"]["kind"]))
            .chain(details)
            .collect::<Vec<_>>()
            .join(", ");
        let times = match rule["times"].as_u64() {
            Some(0) | None => "for ever".into(),
            Some(times) => format!("of {times}"),
        };
        Self {
            id: rule["id"].as_str().unwrap_or_default().into(),
            which: format!(
                "{} {} {}, from match {}, {}",
                text(&rule["api"]),
                text(&rule["method"]),
                rule["path"].as_str().unwrap_or("*"),
                rule["nth"],
                text(&rule["site"]),
            ),
            fired: format!("{} {times}", rule["fired"]),
            held: rule["held"].as_array().map_or(0, Vec::len),
            what,
        }
    }
}

type Form = [(String, String)];

fn field<'a>(form: &'a Form, name: &str) -> Option<&'a str> {
    form.iter()
        .find(|(key, value)| key == name && !value.trim().is_empty())
        .map(|(_, value)| value.trim())
}

/// Where a form wants to go back to; only to this console.
pub(super) fn back(form: &Form) -> String {
    field(form, "back")
        .filter(|back| back.starts_with("/console") && !back.contains(['\\', '\r', '\n']))
        .unwrap_or("/console/settings")
        .into()
}

/// Does what a form says.
pub(super) async fn act(server: &Server, act: &str, form: &Form) -> Result<(), String> {
    let id = || field(form, "id").unwrap_or_default();
    match act {
        "freeze" => say(server, "POST", &["clock"], json!({ "freeze": true })).await,
        "resume" => say(server, "POST", &["clock"], json!({ "freeze": false })).await,
        "rate" => {
            say(
                server,
                "POST",
                &["clock"],
                json!({ "rate": number(form, "rate")? }),
            )
            .await
        }
        "step" => {
            let seconds = number(form, "seconds")?;
            say(
                server,
                "POST",
                &["clock"],
                json!({ "step_seconds": seconds }),
            )
            .await
        }
        "fault" => say(server, "POST", &["faults"], rule(form)?).await,
        "forget" => say(server, "DELETE", &["faults", id()], Value::Null).await,
        "release" => say(server, "POST", &["faults", id(), "release"], json!({})).await,
        "cut" => {
            say(
                server,
                "POST",
                &["faults", id(), "release"],
                json!({ "cut": true }),
            )
            .await
        }
        "reset" => say(server, "POST", &["reset"], Value::Null).await,
        _ => Err(format!("there is no act {act:?}")),
    }
}

fn number(form: &Form, name: &str) -> Result<Value, String> {
    let text = field(form, name).ok_or_else(|| format!("{name} is empty"))?;
    let value: f64 = text
        .parse()
        .map_err(|_| format!("{name}: {text:?} is no number"))?;
    Ok(if value.fract() == 0.0 {
        json!(
            text.parse::<u64>()
                .map_err(|_| format!("{name}: {text:?} is out of range"))?
        )
    } else {
        json!(value)
    })
}

/// The rule of a form: what is empty is not said.
fn rule(form: &Form) -> Result<Value, String> {
    let mut rule = Map::new();
    for name in ["api", "method", "path", "site"] {
        if let Some(value) = field(form, name) {
            rule.insert(name.into(), value.into());
        }
    }
    for name in ["nth", "times"] {
        if field(form, name).is_some() {
            rule.insert(name.into(), number(form, name)?);
        }
    }
    // `operation-hang` is the kind `operation` with the end `hang`.
    let kind = field(form, "kind").ok_or("choose what happens")?;
    let (kind, end) = kind.split_once('-').unwrap_or((kind, ""));
    let mut action = Map::from_iter([("kind".to_owned(), json!(kind))]);
    let used: &[&str] = match kind {
        "delay" => &["seconds"],
        "throttle" => &["retry_after"],
        "lose_region" => &["region"],
        "lose_zone" => &["region", "zone"],
        "pending_pods" => &["cluster"],
        "answer" => &["status"],
        _ => &[],
    };
    for name in used {
        let value = match *name {
            "region" | "zone" | "cluster" => field(form, name)
                .map(|value| json!(value))
                .ok_or_else(|| format!("{name} is empty"))?,
            "retry_after" | "status" if field(form, name).is_none() => continue,
            _ => number(form, name)?,
        };
        action.insert((*name).into(), value);
    }
    match kind {
        "operation" => {
            action.insert("end".into(), json!(end));
        }
        "answer" if !end.is_empty() => {
            action.insert("garbage".into(), json!(end));
        }
        _ => {}
    }
    rule.insert("action".into(), Value::Object(action));
    Ok(Value::Object(rule))
}

async fn say(server: &Server, method: &str, path: &[&str], body: Value) -> Result<(), String> {
    let segments: Vec<String> = std::iter::once("_sim")
        .chain(path.iter().copied())
        .map(str::to_owned)
        .collect();
    let call = Call {
        method: method.into(),
        path: format!("/{}", segments.join("/")),
        segments,
        query: Vec::new(),
        headers: HeaderMap::new(),
        body: if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        }
        .into(),
        correlation: String::new(),
    };
    let answer = control::answer(server, &call).await;
    if answer.status < 400 {
        return Ok(());
    }
    let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    Err(told["error"]
        .as_str()
        .unwrap_or("that could not be done")
        .into())
}
