//! What the simulator exports, another one imports.

mod bed;

use bed::Bed;
use serde_json::{Value, json};

const STATE: &str = "/_sim/terraform/prod";

#[tokio::test]
async fn an_export_brings_everything_back_here_and_elsewhere() {
    let bed = Bed::start();
    bed.send("POST", STATE, None, json!({ "serial": 1 }))
        .await
        .unwrap();
    let exported = bed.control("GET", "export", Value::Null).await;
    bed.control("POST", "reset", Value::Null).await;
    let other = Bed::start();
    for bed in [&bed, &other] {
        bed.control("POST", "import", exported.clone()).await;
        let state = bed.send("GET", STATE, None, Value::Null).await.unwrap();
        assert_eq!(state.json::<Value>().await.unwrap(), json!({ "serial": 1 }));
    }
    let refused = other
        .send("POST", "/_sim/import", None, json!({ "version": 0 }))
        .await
        .unwrap();
    assert_eq!(refused.status(), 400);
}
