//! What both clouds share, over the wire: state traffic, journal, faults, clock, restarts.

mod bed;

use std::net::{Ipv4Addr, TcpStream};

use bed::Bed;
use serde_json::{Value, json};

const STATE: &str = "/_sim/terraform/prod";

#[tokio::test]
async fn terraform_state_is_locked_kept_and_numbered() {
    let bed = Bed::start();
    let lock = json!({ "ID": "one" });
    assert_eq!(
        bed.send("GET", STATE, None, Value::Null)
            .await
            .unwrap()
            .status(),
        404
    );
    assert_eq!(
        bed.send("LOCK", STATE, None, lock.clone())
            .await
            .unwrap()
            .status(),
        200
    );
    let second = bed
        .send("LOCK", STATE, None, json!({ "ID": "two" }))
        .await
        .unwrap();
    assert_eq!(second.status(), 423);
    assert_eq!(second.json::<Value>().await.unwrap(), lock);
    let path = format!("{STATE}?ID=one");
    assert_eq!(
        bed.send("POST", &path, None, json!({ "serial": 1 }))
            .await
            .unwrap()
            .status(),
        200
    );
    assert_eq!(
        bed.send("UNLOCK", STATE, None, lock)
            .await
            .unwrap()
            .status(),
        200
    );

    let bed = bed.restart();
    let state: Value = bed
        .send("GET", STATE, None, Value::Null)
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(state, json!({ "serial": 1 }));
    let journal = bed.control("GET", "journal?since=5", Value::Null).await;
    assert_eq!(journal["entries"][0]["number"], 6);
    assert_eq!(journal["entries"][0]["api"], "terraform");
    assert_eq!(journal["entries"][0]["ordinal"], 2);
    assert_eq!(journal["entries"][0]["status"], 200);
}

#[tokio::test]
async fn ports_stay_over_a_restart() {
    let bed = Bed::start();
    let before = (bed.card["azure"].clone(), bed.card["google"].clone());
    let bed = bed.restart();
    assert_eq!(
        before,
        (bed.card["azure"].clone(), bed.card["google"].clone())
    );
}

#[tokio::test]
async fn a_cut_after_the_effect_applies_and_says_nothing() {
    let bed = Bed::start();
    let rule = json!({ "api": "terraform", "method": "POST", "site": "after_effect", "action": { "kind": "cut" } });
    bed.control("POST", "faults", rule).await;
    assert!(
        bed.send("POST", STATE, None, json!({ "serial": 7 }))
            .await
            .is_err()
    );
    let state: Value = bed
        .send("GET", STATE, None, Value::Null)
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(state, json!({ "serial": 7 }));
    let journal = bed.control("GET", "journal", Value::Null).await;
    assert_eq!(journal["entries"][0]["status"], Value::Null);
    assert_eq!(journal["entries"][0]["faults"], json!(["fault-1"]));
}

#[tokio::test]
async fn a_cut_before_the_effect_leaves_no_trace_but_the_journal() {
    let bed = Bed::start();
    for site in ["before_receipt", "before_effect"] {
        bed.control(
            "POST",
            "faults",
            json!({ "method": "POST", "site": site, "action": { "kind": "cut" } }),
        )
        .await;
        assert!(
            bed.send("POST", STATE, None, json!({ "serial": 7 }))
                .await
                .is_err()
        );
    }
    assert_eq!(
        bed.send("GET", STATE, None, Value::Null)
            .await
            .unwrap()
            .status(),
        404
    );
}

#[tokio::test]
async fn a_held_request_waits_until_it_is_released() {
    let bed = Bed::start();
    let rule = json!({ "id": "stop", "method": "POST", "action": { "kind": "hold" } });
    bed.control("POST", "faults", rule).await;
    let post = bed.send("POST", STATE, None, json!({ "serial": 1 }));
    let harness = async {
        let held = bed.control("GET", "faults/stop/held", Value::Null).await;
        assert_eq!(held["held"], json!([1]));
        assert_eq!(
            bed.send("GET", STATE, None, Value::Null)
                .await
                .unwrap()
                .status(),
            404
        );
        bed.control("POST", "faults/stop/release", json!({})).await;
    };
    let (answer, ()) = tokio::join!(post, harness);
    assert_eq!(answer.unwrap().status(), 200);
}

#[tokio::test]
async fn a_delayed_request_takes_so_many_seconds_of_the_clouds_clock() {
    let bed = Bed::start_with(&["--clock-rate", "600"]);
    let delay = json!({ "method": "POST", "action": { "kind": "delay", "seconds": 60 } });
    bed.control("POST", "faults", delay).await;
    for serial in [1, 2] {
        let answer = bed.send("POST", STATE, None, json!({ "serial": serial }));
        assert_eq!(answer.await.unwrap().status(), 200);
    }
    let journal = bed.control("GET", "journal", Value::Null).await;
    let took = |entry: usize| journal["entries"][entry]["duration_ms"].as_u64().unwrap();
    assert!((100..10_000).contains(&took(0)), "{journal:#}");
    assert!(took(1) < took(0), "{journal:#}");
}

#[tokio::test]
async fn garbage_comes_as_ordered() {
    let bed = Bed::start();
    bed.send("POST", STATE, None, json!({ "serial": 1 }))
        .await
        .unwrap();
    for garbage in ["empty", "html", "truncated"] {
        let action = json!({ "kind": "answer", "garbage": garbage });
        bed.control(
            "POST",
            "faults",
            json!({ "method": "GET", "site": "after_effect", "action": action }),
        )
        .await;
        let answer = bed.send("GET", STATE, None, Value::Null).await.unwrap();
        assert_eq!(answer.status(), 200);
        let text = answer.text().await;
        match garbage {
            "empty" => assert_eq!(text.unwrap(), ""),
            "html" => assert!(text.unwrap().starts_with("<html>")),
            _ => assert!(text.is_err()),
        }
    }
}

#[tokio::test]
async fn a_stale_read_shows_the_world_as_it_was() {
    let bed = Bed::start();
    bed.send("POST", STATE, None, json!({ "serial": 1 }))
        .await
        .unwrap();
    bed.control(
        "POST",
        "faults",
        json!({ "method": "GET", "action": { "kind": "stale" } }),
    )
    .await;
    bed.send("POST", STATE, None, json!({ "serial": 2 }))
        .await
        .unwrap();
    for serial in [1, 2] {
        let state: Value = bed
            .send("GET", STATE, None, Value::Null)
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        assert_eq!(state, json!({ "serial": serial }));
    }
}

#[tokio::test]
async fn the_clock_can_be_frozen_and_stepped() {
    let bed = Bed::start();
    let frozen = bed
        .control("POST", "clock", json!({ "freeze": true }))
        .await;
    let stepped = bed
        .control("POST", "clock", json!({ "step_seconds": 3600 }))
        .await;
    assert_ne!(frozen["now"], stepped["now"]);
    assert_eq!(
        stepped["now"],
        bed.control("GET", "clock", Value::Null).await["now"]
    );
}

#[tokio::test]
async fn a_page_from_elsewhere_is_refused() {
    let bed = Bed::start();
    let [azure, google] = ["azure", "google"].map(|key| bed.card[key].as_str().unwrap());
    for page in [format!("{azure}/_sim/health"), format!("{google}/console")] {
        let asked = async |name: &str, value: &str| {
            let request = bed.client.get(&page).header(name, value);
            request.send().await.unwrap().status().as_u16()
        };
        // A page in a sandbox, and one that a file holds, have the origin null.
        for origin in ["https://evil.example", "null", "", "http://127.0.0.1"] {
            assert_eq!(asked("origin", origin).await, 403, "{page} {origin}");
        }
        for host in ["evil.example", "127.0.0.1", "127.0.0.1.evil.example:80"] {
            assert_eq!(asked("host", host).await, 421, "{page} {host}");
        }
        assert_eq!(asked("origin", google).await, 200, "{page}");
    }
}

#[test]
fn no_other_address_of_the_machine_is_listened_on() {
    let bed = Bed::start();
    for base in ["azure", "google"] {
        let (_, port) = bed.card[base].as_str().unwrap().rsplit_once(':').unwrap();
        let port = port.parse().unwrap();
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
        // Whoever listens on all addresses answers here too.
        let other = Ipv4Addr::new(127, 0, 0, 2);
        assert!(TcpStream::connect((other, port)).is_err(), "{base}");
    }
}

#[tokio::test]
async fn a_body_without_end_is_cut() {
    let bed = Bed::start();
    let base = bed.card["azure"].as_str().unwrap();
    let sent = |bytes: usize| {
        let request = bed.client.post(format!("{base}/_sim/faults"));
        request.body(vec![b' '; bytes]).send()
    };
    assert_eq!(sent(16 << 20).await.unwrap().status(), 400);
    assert!(sent((16 << 20) + 1).await.is_err());
    assert_eq!(sent(1).await.unwrap().status(), 400);
}

#[tokio::test]
async fn a_taken_port_is_said_with_the_way_out() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let out = std::process::Command::new(env!("CARGO_BIN_EXE_paymesh-cloudsim"))
        .args(["--port", &taken.local_addr().unwrap().port().to_string()])
        .arg("--state-dir")
        .arg(dir.path())
        .arg("--simulator-file")
        .arg(dir.path().join("simulator.json"))
        .output()
        .unwrap();
    assert!(!out.status.success());
    assert!(String::from_utf8_lossy(&out.stderr).contains("choose another with --port"));
}
