//! What the small core keeps of one resource between its runs.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

/// One object in the state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    pub(crate) state: Vec<u8>,
    pub(crate) private: Vec<u8>,
    pub(crate) tainted: bool,
}

/// What is in the state.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub(crate) current: Option<Kept>,
    pub(crate) deposed: Option<Kept>,
}

impl State {
    /// What [`State::write`] wrote; nothing, of a state that was never saved.
    pub(crate) fn read(text: &Value) -> Self {
        let kept = |name: &str| {
            let part = text.get(name).filter(|part| !part.is_null())?;
            let bytes = |key: &str| {
                let text = part[key].as_str().unwrap_or_default();
                STANDARD.decode(text).expect("the core wrote base64")
            };
            Some(Kept {
                state: bytes("state"),
                private: bytes("private"),
                tainted: part["tainted"] == true,
            })
        };
        Self {
            current: kept("current"),
            deposed: kept("deposed"),
        }
    }

    /// How many objects there are.
    pub(crate) fn count(&self) -> usize {
        self.current.iter().chain(&self.deposed).count()
    }

    /// As JSON, for a backend.
    pub(crate) fn write(&self) -> Value {
        let kept = |kept: &Option<Kept>| {
            kept.as_ref().map(|kept| {
                json!({
                    "state": STANDARD.encode(&kept.state),
                    "private": STANDARD.encode(&kept.private),
                    "tainted": kept.tainted,
                })
            })
        };
        json!({ "current": kept(&self.current), "deposed": kept(&self.deposed) })
    }
}
