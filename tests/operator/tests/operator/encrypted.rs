//! TLS to PostgreSQL: a server is known by its certificate, or no password is sent to it.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, chown},
};

use paymesh_beds::{Authority, Subject, write_private};
use paymesh_operator_tests::{Place, World};
use serde_json::json;

/// Lets the server encrypt with a certificate for a host; gives the authority's.
fn encrypt(world: &World, host: &str) -> String {
    let authority = Authority::new("bed").unwrap();
    let hosts = [host];
    let subject = Subject {
        hosts: &hosts,
        ..Subject::default()
    };
    let issued = authority.issue(subject).unwrap();
    let folder = world.postgres.log().with_file_name("data");
    let user = fs::metadata(&folder).unwrap();
    for (file, text) in [
        ("server.crt", &issued.certificate),
        ("server.key", &issued.key),
    ] {
        let path = folder.join(file);
        write_private(&path, text).unwrap();
        chown(&path, Some(user.uid()), Some(user.gid())).unwrap();
    }
    world.postgres.set("ssl", "on").unwrap();
    authority.pem().to_owned()
}

async fn ask_for(world: &World, place: &Place, name: &str, authority: &str) {
    let secret = format!("{name}-admin");
    let more = json!({ "sslmode": null, "ca.crt": authority });
    let port = world.postgres.port();
    place.make_server(&secret, port, &more).await;
    let mut database = place.database(name);
    database["spec"]["connection"]["secretName"] = json!(secret);
    place.make(&database).await;
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server"]
async fn a_server_with_its_certificate_is_used_and_one_of_another_authority_or_name_is_not() {
    let world = World::start().await;
    let place = world.place("encrypted").await;
    let trusted = encrypt(&world, "127.0.0.1");
    let _operator = world.operator(&place, "one", &[]);
    ask_for(&world, &place, "good", &trusted).await;
    place.wait_until_ready("good").await;
    let secret = place.secret("good-ledger").await.unwrap();
    assert_eq!(
        (secret.get("sslmode"), secret.get("ca.crt")),
        ("verify-full", &*trusted)
    );
    let another = Authority::new("another").unwrap();
    ask_for(&world, &place, "stranger", another.pem()).await;
    place
        .wait_for_condition("stranger", "Connected", "False")
        .await;
    let said = place.conditions("stranger").await;
    assert!(said.contains("invalid peer certificate"), "{said}");
    let other_name = encrypt(&world, "elsewhere");
    ask_for(&world, &place, "misnamed", &other_name).await;
    place
        .wait_for_condition("misnamed", "Connected", "False")
        .await;
    let said = place.conditions("misnamed").await;
    assert!(said.contains("certificate not valid for name"), "{said}");
}
