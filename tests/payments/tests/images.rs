//! The services as the container images of `make images`: a charge goes through them, and their
//! processes may do nothing that an image does not need.
//!
//! Ignored unless asked for: `PAYMESH_BIN_DIR` has to name a folder whose programs run the images
//! (`tests/images`, stage `images`).

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use paymesh_payments::{Collector, Member, Shop, Wishes};
use reqwest::Url;

/// Those of which there is an image, beside the probe and the merchant's page.
const SERVICES: [Member; 3] = [Member::Api, Member::Processor, Member::Controller];
/// How long the probe may take to pay once.
const PAID_MAX: Duration = Duration::from_mins(1);
/// The image's user.
const USER: &str = "65532";

/// What the kernel says of a process under a name.
fn said<'a>(status: &'a str, name: &str) -> &'a str {
    let mut lines = status.lines();
    let found = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    found.expect("the kernel says it").trim()
}

/// The process runs the program of its image, as the image's user, without a capability or a way to
/// one, and everything that it sees can only be read.
fn check_contained(name: &str, id: u32) {
    let process = PathBuf::from(format!("/proc/{id}"));
    let program = fs::read_link(process.join("exe")).unwrap();
    assert_eq!(program, Path::new("/").join(name));
    for map in ["uid_map", "gid_map"] {
        let map = fs::read_to_string(process.join(map)).unwrap();
        let words: Vec<&str> = map.split_whitespace().collect();
        assert!(matches!(words[..], [USER, _, "1"]), "{name}: {map}");
    }
    let status = fs::read_to_string(process.join("status")).unwrap();
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(said(&status, set), "0000000000000000", "{name}: {set}");
    }
    assert_eq!(said(&status, "NoNewPrivs"), "1", "{name}");
    let mounts = fs::read_to_string(process.join("mountinfo")).unwrap();
    let points: Vec<&str> = mounts
        .lines()
        .map(|mount| {
            let words: Vec<&str> = mount.split(' ').collect();
            assert!(words[5].split(',').any(|it| it == "ro"), "{name}: {mount}");
            words[4]
        })
        .collect();
    assert_eq!(points.iter().filter(|point| **point == "/").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the images"]
async fn a_charge_goes_through_the_images_whose_processes_may_do_nothing_else() {
    let programs = std::env::var_os("PAYMESH_BIN_DIR").expect("the folder of what runs images");
    let collector = Collector::start().await.unwrap();
    let mut shop = Shop::open(Wishes {
        collector_port: Url::parse(&collector.url).unwrap().port(),
        ..Wishes::default()
    })
    .await;
    let answer = shop.pay("order").await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let stack = &mut shop.stack;
    let report = stack.report().await.unwrap();
    assert_eq!(report.payments, 1, "{report}\n{}", stack.logs());

    let merchant = stack.add_merchant("Synthetic probe", 0).unwrap();
    stack.add_probe(&merchant, &[]).unwrap();
    let paid = stack.wait_for_runs("ok", 1, PAID_MAX).await;
    paid.unwrap();

    stack.open_page().unwrap();
    let page = reqwest::Client::new().get(format!("{}/payments", stack.page_url()));
    let page = page.basic_auth("merchant", Some(&stack.card.api_key));
    assert_eq!(page.send().await.unwrap().status(), 200);

    let ids = stack.ids();
    for member in SERVICES.into_iter().chain([Member::Probe, Member::Page]) {
        let name = member.program();
        let (_, id) = ids.iter().find(|(other, _)| other == name).unwrap();
        check_contained(name, *id);
    }

    // A static program finds a host by its name too, with nothing of the C library in the image.
    let url = stack.migrate_url().replace("127.0.0.1", "localhost") + "?sslmode=disable";
    let output = Command::new(Path::new(&programs).join("paymesh-db-migrate"))
        .env_clear()
        .env("PAYMESH_DATABASE_URL", url)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");

    assert!(stack.stop(Member::Probe), "{}", stack.logs());
    assert!(stack.stop(Member::Page), "{}", stack.logs());
    for member in SERVICES {
        assert!(stack.stop(member), "{}: {}", member.program(), stack.logs());
        let spans = collector.spans();
        let is_of = |service: &str| member.program().ends_with(service);
        assert!(spans.iter().any(|span| is_of(&span.service)), "{member:?}");
    }
}
