//! The sample provider under every real client on this machine.
//!
//! Each client's calls are a golden table: which process was called with what, whether there was a
//! prior state, and which private data went in and out. What core really does is known from here,
//! not from its documentation. Clients are those that `python3 tests/tools list` finds.

mod connection;
mod interrupts;
mod refusals;
mod workspace;

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use expect_test::expect_file;
use rustix::process::{Signal, kill_process, test_kill_process};

use workspace::{PATIENCE, Workspace, client, note, pid, text};

/// The table with the calls of each process sorted, where core works on several objects at once.
fn sorted(table: &str) -> String {
    let mut lines: Vec<_> = table.trim_end().lines().collect();
    lines[1..].sort_unstable();
    lines.join("\n") + "\n\n"
}

const FIRST_CREATES: &str = "lifecycle { create_before_destroy = true }";

/// The calls of one client in the life of a note.
fn check_calls(client_name: &str, golden: &str) {
    let Some(client) = client(client_name) else {
        return;
    };
    let mut workspace = Workspace::new(&client);
    let mut table = String::new();

    workspace.write(&note("a", "one", "text = \"1\""));
    workspace.apply();
    table += &workspace.calls("create");
    workspace.plans_nothing();
    table += &workspace.calls("plan without a change");
    workspace.write(&note("a", "one", "text = \"2\""));
    workspace.apply();
    table += &workspace.calls("update");
    workspace.write(&note("a", "two", ""));
    workspace.apply();
    table += &workspace.calls("replace, destroying first");
    workspace.write(&note("a", "three", FIRST_CREATES));
    workspace.apply();
    table += &workspace.calls("replace, creating first");
    workspace.write(&note("a", "three", ""));
    workspace.run(&["apply", "-auto-approve", "-replace=sample_note.a"]);
    table += &workspace.calls("-replace");
    workspace.run(&["taint", "sample_note.a"]);
    workspace.calls("not recorded");
    workspace.apply();
    table += &workspace.calls("apply a tainted note");

    workspace.environment.insert("SAMPLE_KEEPS", "1".to_owned());
    workspace.write(&note("a", "four", FIRST_CREATES));
    workspace.fails(&["apply", "-auto-approve"]);
    table += &workspace.calls("replace, creating first, and the delete fails");
    workspace.environment.clear();
    workspace.apply();
    table += &sorted(&workspace.calls("apply with a deposed note, sorted"));

    workspace
        .write(&(note("b", "four", "") + "moved {\n from = sample_note.a\n to = sample_note.b\n}"));
    workspace.apply();
    table += &workspace.calls("rename the address with a moved block");

    workspace.write(&(note("b", "four", "") + &note("c", "five", "delay_ms = 60000")));
    let mut killed = workspace.start(&["apply", "-auto-approve"]);
    workspace.until_called("apply-create name=five");
    let provider = workspace.journal();
    let provider = provider
        .lines()
        .last()
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    kill_process(pid(i32::try_from(killed.id()).unwrap()), Signal::KILL).unwrap();
    killed.wait().unwrap();
    let end = Instant::now() + PATIENCE;
    while test_kill_process(pid(provider)).is_ok() {
        assert!(Instant::now() < end, "the provider outlives Terraform");
        thread::sleep(Duration::from_millis(20));
    }
    workspace.calls("parallel: not recorded");
    workspace.write(&(note("b", "four", "") + &note("c", "five", "")));
    workspace.run(&["apply", "-auto-approve", "-target=sample_note.c"]);
    table += &workspace.calls("apply after Terraform was killed during a create");

    workspace.write(&note("c", "five", ""));
    workspace.apply();
    workspace.calls("not recorded");
    workspace.run(&["destroy", "-auto-approve"]);
    table += &workspace.calls("destroy");
    let left = fs::read_dir(workspace.dir.path().join("notes"))
        .unwrap()
        .count();
    assert_eq!(left, 0, "notes are left");

    let header = format!("# What {client_name} calls\n\n");
    expect_file![format!("../calls/{golden}.txt")].assert_eq(&(header + table.trim_end() + "\n"));
}

#[test]
fn the_calls_of_the_oldest_client_are_known() {
    check_calls("terraform-1.11", "terraform-1.11");
}

#[test]
fn the_calls_of_the_newest_client_are_known() {
    check_calls("terraform-1.15", "terraform-1.15");
}

#[test]
fn the_calls_of_the_fork_are_known() {
    check_calls("opentofu", "opentofu-1.12");
}

/// An interrupt keeps the unfinished note, untainted, and the next apply finishes it.
#[test]
fn an_interrupted_create_is_resumed() {
    let Some(client) = client("terraform-1.11") else {
        return;
    };
    let workspace = Workspace::new(&client);
    workspace.write(&note("a", "slow", "delay_ms = 60000"));
    let child = workspace.start(&["apply", "-auto-approve", "-no-color"]);
    workspace.until_called("apply-create");
    let begin = Instant::now();
    kill_process(pid(i32::try_from(child.id()).unwrap()), Signal::INT).unwrap();
    let output = text(&child.wait_with_output().unwrap());
    assert!(begin.elapsed() < Duration::from_secs(20), "{output}");
    assert!(output.contains("The note is not finished"), "{output}");
    workspace.write(&note("a", "slow", ""));
    let output = workspace.apply();
    assert!(
        output.contains("0 added, 1 changed, 0 destroyed"),
        "{output}"
    );
    workspace.plans_nothing();
}

/// A crash is shown as Terraform shows crashes, and says where. What is secret is printed by nobody,
/// not even by who prints everything.
#[test]
fn a_panic_is_shown_as_a_crash_of_the_plugin() {
    let Some(client) = client("terraform-1.11") else {
        return;
    };
    let workspace = Workspace::new(&client);
    let secret = "secret = \"canary\"\nsecret_version = 1\ncrash = true";
    workspace.write(&note("a", "bomb", secret));
    let output = workspace.fails(&["apply", "-auto-approve", "-no-color"]);
    assert!(
        output.contains("the provider crashed in ApplyResourceChange: the note says so"),
        "{output}"
    );
    assert!(output.contains("panic: the note says so"), "{output}");
    assert!(output.contains("secret: Some("), "{output}");
    assert!(!output.contains("canary"), "{output}");
}

/// Functions, write-only values, ephemeral resources with renewal, data sources, import, moved.
#[test]
fn every_feature_works_for_real() {
    for name in ["terraform-1.11", "terraform-1.15", "opentofu"] {
        let Some(client) = client(name) else {
            continue;
        };
        let workspace = Workspace::new(&client);
        let notes = workspace.dir.path().join("notes");
        fs::write(notes.join("found"), "old").unwrap();
        workspace.write(
            &(note("a", "a", "secret = \"canary\"\nsecret_version = 1\ndelay_ms = 2500")
                + "import {\n to = sample_note.found\n id = \"found\"\n}\n"
                + &note("found", "found", "text = \"old\"")
                + "data \"sample_note\" \"a\" {\n name = sample_note.found.name\n}\n"
                + "ephemeral \"sample_token\" \"t\" {\n subject = \"me\"\n seconds = 1\n}\n"
                + "provider \"sample\" {\n alias = \"other\"\n directory = ephemeral.sample_token.t.value == \"\" ? \"\" : \"notes\"\n}\n"
                + "resource \"sample_note\" \"b\" {\n provider = sample.other\n name = \"b\"\n depends_on = [sample_note.a]\n}\n"
                + "output \"words\" {\n value = provider::sample::join(\"-\", \"x\", data.sample_note.a.text)\n}\n"),
        );
        let output = workspace.apply();
        assert!(output.contains("1 imported, 2 added"), "{name}: {output}");
        assert!(output.contains("words = \"x-old\""), "{name}: {output}");
        for call in ["open", "renew", "close", "import"] {
            assert!(workspace.journal().contains(call), "{name}: no {call}");
        }
        let state = fs::read_to_string(workspace.dir.path().join("terraform.tfstate")).unwrap();
        assert!(
            !state.contains("canary"),
            "{name}: a write-only value is in the state"
        );
        workspace.plans_nothing();
        workspace.run(&["destroy", "-auto-approve"]);
    }
}

/// A note that another resource type managed, and a state of an older version.
#[test]
fn notes_come_from_other_types_and_from_older_states() {
    let Some(client) = client("terraform-1.11") else {
        return;
    };
    let workspace = Workspace::new(&client);
    workspace.write("resource \"terraform_data\" \"old\" {\n input = \"moved\"\n}\n");
    workspace.apply();
    fs::write(workspace.dir.path().join("notes/moved"), "text").unwrap();
    workspace.write(
        &(note("new", "moved", "text = \"text\"")
            + "moved {\n from = terraform_data.old\n to = sample_note.new\n}\n"),
    );
    let output = workspace.apply();
    assert!(output.contains("0 added"), "{output}");

    let path = workspace.dir.path().join("terraform.tfstate");
    let state = fs::read_to_string(&path).unwrap();
    let older = state
        .replace("\"schema_version\": 1", "\"schema_version\": 0")
        .replace(
            "\"text\": \"text\"",
            "\"colour\": \"red\", \"content\": \"text\"",
        );
    assert_ne!(state, older);
    fs::write(&path, older).unwrap();
    workspace.plans_nothing();
    let newer = state.replace("\"schema_version\": 1", "\"schema_version\": 7");
    fs::write(&path, newer).unwrap();
    let output = workspace.fails(&["plan", "-no-color"]);
    assert!(output.contains("newer"), "{output}");
}
