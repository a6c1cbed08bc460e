//! Rules for every source file, each with its reason.

use paymesh_tidy::{files, top};

fn check_none(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

fn sources() -> Vec<(String, String)> {
    ["provider", "services", "tests"]
        .iter()
        .flat_map(|folder| files(folder, ".rs"))
        .collect()
}

/// Lines (as `path:line`) of the files for which `counts` is true that contain one of `words`.
fn lines_with(words: &[&str], counts: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in sources().iter().filter(|(path, _)| counts(path)) {
        for (index, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if words.iter().any(|word| code.contains(word)) {
                found.push(format!("{path}:{}", index + 1));
            }
        }
    }
    found
}

#[test]
fn every_file_says_what_it_is_for() {
    // A derive's compile-fail case is named by its mistake, and nothing in it is worth a heading.
    let silent: Vec<String> = sources()
        .into_iter()
        .filter(|(path, text)| !text.starts_with("//!") && !path.contains("/tests/mistakes/"))
        .map(|(path, _)| path)
        .collect();
    check_none("a file starts with `//!` and says what it is for", &silent);
}

#[test]
fn all_waiting_goes_through_the_clock() {
    let found = lines_with(&["tokio::time"], |path| {
        path.starts_with("provider/")
            && !path.starts_with("provider/clock/")
            // The command and its tests wait for a process, in real time.
            && !path.starts_with("provider/cli/")
            && !path.contains("/tests/")
    });
    check_none(
        "use paymesh_clock::Clock: a simulated cloud runs faster than the machine",
        &found,
    );
}

#[test]
fn no_thread_sleeps_in_the_provider() {
    let found = lines_with(&["std::thread::sleep", "thread::sleep"], |path| {
        path.starts_with("provider/")
            && !path.starts_with("provider/cli/")
            // The watch over Terraform's life has threads of its own, outside the runtime.
            && !path.starts_with("provider/plugin/src/serve/")
            && !path.contains("/examples/")
            && !path.contains("/tests/")
    });
    check_none(
        "a sleeping thread blocks every task on it; wait for a state with a limit",
        &found,
    );
}

#[test]
fn nothing_is_left_for_later() {
    let words = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("dbg", "!("),
    ];
    check_none("finish it or leave it out", &lines_with(&words, |_| true));
}

#[test]
fn every_path_named_in_a_document_exists() {
    let rooms = [
        "provider/",
        "services/",
        "tests/",
        "examples/",
        "gitops/",
        "docs/",
        ".ci/",
        ".github/",
    ];
    let mut gone = Vec::new();
    for (document, text) in files("", ".md") {
        let named = text.split('`').skip(1).step_by(2).filter(|word| {
            rooms.iter().any(|room| word.starts_with(room)) && !word.contains([' ', '*', '<'])
        });
        let missing = named.filter(|word| !top().join(word).exists());
        gone.extend(missing.map(|word| format!("{document}: {word}")));
    }
    check_none("a document names what is not there", &gone);
}

/// A file of a test program that no `mod` names is not built, and nobody says so.
#[test]
fn every_file_of_a_test_program_is_in_it() {
    let all = sources();
    let text_of = |wanted: &str| {
        let mut found = all.iter().filter(|(path, _)| path == wanted);
        found.next().map(|(_, text)| text)
    };
    let programs = all
        .iter()
        .filter_map(|(path, _)| path.strip_suffix("/main.rs"));
    let programs: Vec<&str> = programs.filter(|path| path.contains("/tests/")).collect();
    assert!(
        !programs.is_empty(),
        "there are test programs of several files"
    );
    let mut silent = Vec::new();
    for (path, _) in &all {
        let is_part = programs
            .iter()
            .any(|program| path.starts_with(&format!("{program}/")));
        let Some((folder, name)) = path.rsplit_once('/').filter(|_| is_part) else {
            continue;
        };
        let homes = [
            format!("{folder}/main.rs"),
            format!("{folder}/mod.rs"),
            format!("{folder}.rs"),
        ];
        let module = format!("mod {};", name.trim_end_matches(".rs"));
        let is_named = homes.iter().any(|home| {
            text_of(home).is_some_and(|text| text.lines().any(|line| line.ends_with(&module)))
        });
        if !is_named && !["main.rs", "mod.rs"].contains(&name) {
            silent.push(path.clone());
        }
    }
    check_none("a file that no `mod` names", &silent);
}
