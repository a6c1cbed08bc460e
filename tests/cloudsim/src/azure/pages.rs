//! Long lists come in pages: each but the last names the address of the next.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::core::{Answer, Call, World};

/// The most entries of a page.
const PAGE: usize = 50;

/// The page of `answer` that `call` asks for. What is no list stays as it is.
pub(super) fn page(world: &World, call: &Call, answer: Answer) -> Answer {
    if call.method != "GET" || answer.status != 200 {
        return answer;
    }
    let Ok(mut body) = serde_json::from_slice::<Value>(&answer.body) else {
        return answer;
    };
    let Some(all) = body.get("value").and_then(Value::as_array) else {
        return answer;
    };
    let wished = call.query("$top").and_then(|top| top.parse().ok());
    let size = wished.unwrap_or(PAGE).clamp(1, PAGE);
    let from = call.query("$skiptoken").and_then(read).unwrap_or(0);
    if from == 0 && all.len() <= size {
        return answer;
    }
    let entries: Vec<Value> = all.iter().skip(from).take(size).cloned().collect();
    let next = from + entries.len();
    let more = next < all.len();
    body["value"] = entries.into();
    if more {
        body["nextLink"] = address(world, call, next).into();
    }
    Answer {
        body: body.to_string().into(),
        ..answer
    }
}

fn read(token: &str) -> Option<usize> {
    let text = URL_SAFE_NO_PAD.decode(token).ok()?;
    String::from_utf8(text).ok()?.parse().ok()
}

fn address(world: &World, call: &Call, from: usize) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let kept = call
        .query
        .iter()
        .filter(|(key, _)| !key.eq_ignore_ascii_case("$skiptoken"));
    query.extend_pairs(kept);
    query.append_pair("$skiptoken", &URL_SAFE_NO_PAD.encode(from.to_string()));
    format!("{}{}?{}", world.place.azure, call.path, query.finish())
}
