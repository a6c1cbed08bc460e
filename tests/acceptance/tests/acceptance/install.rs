//! `make install`: what it prints makes a client find the provider, in any folder.

use std::{env, fs, path::Path, process::Command};

use paymesh_acceptance::{Client, Cloud, programs_folder, samples};
use tempfile::TempDir;

/// Installs below `home`; the CLI configuration that was printed.
fn install(home: &Path) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/demo.py");
    let output = Command::new("python3")
        .arg(script)
        .arg("install")
        .env("XDG_DATA_HOME", home)
        .env("PAYMESH_BIN_DIR", programs_folder())
        .output()
        .expect("python3 runs");
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let start = printed.find("provider_installation").expect(&printed);
    let end = printed[start..].find("\n}\n").expect(&printed);
    printed[start..start + end + 3].to_owned()
}

#[test]
fn with_the_printed_configuration_a_plain_init_and_plan_work_anywhere() {
    let cloud = Cloud::start();
    let home = TempDir::new().expect("a temporary folder can be made");
    let settings = install(home.path());
    assert_eq!(settings, install(home.path()), "it can be repeated");

    let folder = TempDir::new().expect("a temporary folder can be made");
    let write = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).expect("a file can be written");
    };
    write("client.rc", &settings);
    write(
        "main.tf",
        &format!(
            "terraform {{\n  required_providers {{\n    paymesh = {{ source = \"paymesh/paymesh\" }}\n  }}\n}}\n\
             provider \"paymesh\" {{\n  owner     = \"install/one\"\n  simulator = true\n}}\n{}",
            samples::AKS
        ),
    );
    for words in [&["init"][..], &["plan", "-input=false"]] {
        let output = Command::new(Client::here().path())
            .args(words)
            .current_dir(folder.path())
            .env("TF_CLI_CONFIG_FILE", folder.path().join("client.rc"))
            .env("PAYMESH_SIMULATOR", cloud.file())
            .env("CHECKPOINT_DISABLE", "1")
            .output()
            .expect("the client runs");
        assert!(output.status.success(), "{words:?}: {output:?}");
    }
}
