//! Azure: Entra and Azure Resource Manager, as far as clusters touch them.

use serde_json::{Map, Value, json};

use crate::core::{Answer, Api, Call, Operation, World};

/// The simulated Azure.
pub(crate) struct Azure;

impl Api for Azure {
    fn name(&self) -> &'static str {
        "azure"
    }

    fn seed(&self, _world: &mut World) -> Result<Map<String, Value>, String> {
        Ok(Map::new())
    }

    fn answer(&self, _world: &mut World, call: &Call) -> Answer {
        Answer::json(
            404,
            &json!({ "error": { "code": "InvalidResourceType", "message": call.path } }),
        )
    }

    fn complete(&self, _world: &mut World, _operation: &Operation) {}

    fn inventory(&self, _world: &World) -> Vec<Value> {
        Vec::new()
    }
}
