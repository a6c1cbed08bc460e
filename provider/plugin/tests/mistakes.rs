//! What must not compile does not, and the message says what to do.
//!
//! Each file in `mistakes/` is named by its mistake; beside it stand the errors that a reader sees.
//! The compiler is called directly, with the library that this test is linked to: a second build of
//! everything below it, as test harnesses for this purpose do, would take minutes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use expect_test::expect_file;

/// The folder of the libraries that cargo has built for this test.
fn libraries() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().to_owned()
}

/// The library under test as cargo has built it last.
fn library(folder: &Path) -> PathBuf {
    let mut newest: Option<(SystemTime, PathBuf)> = None;
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("libpaymesh_plugin-")
            && entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "rlib")
        {
            let built = entry.metadata().unwrap().modified().unwrap();
            if newest.as_ref().is_none_or(|(before, _)| *before < built) {
                newest = Some((built, entry.path()));
            }
        }
    }
    newest.expect("cargo builds the library before its tests").1
}

/// Where the compiler's own words begin: they change with its version, ours do not.
const COMPILER_WORDS: &[&str] = &[
    ": evaluation of `",
    ": the trait `",
    ": no implementation for",
    ": unsatisfied trait bound",
    ": within `",
];

/// The errors of compiling `source`, without the parts that depend on the compiler's version.
fn compile(source: &str, folder: &Path, library: &Path) -> (bool, String) {
    let out = tempfile::tempdir().unwrap();
    let file = out.path().join("mistake.rs");
    fs::write(&file, format!("#![allow(dead_code)]\n{source}")).unwrap();
    let output = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args([
            "--edition=2024",
            "--crate-type=lib",
            "--emit=metadata",
            "--error-format=short",
        ])
        .arg(format!("--extern=paymesh_plugin={}", library.display()))
        .arg(format!("-Ldependency={}", folder.display()))
        .arg("--out-dir")
        .arg(out.path())
        .arg(&file)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    let prefix = format!("{}:", file.display());
    let errors = text
        .lines()
        .filter_map(|line| line.strip_prefix(&prefix))
        .map(|line| {
            // One line stands above the source.
            let (number, rest) = line.split_once(':').unwrap_or(("1", line));
            let rest = COMPILER_WORDS.iter().fold(rest, |rest, words| {
                rest.split_once(words).map_or(rest, |(ours, _)| ours)
            });
            format!("{}:{rest}\n", number.parse::<usize>().unwrap_or(1) - 1)
        })
        .collect::<Vec<_>>();
    let mut seen = std::collections::BTreeSet::new();
    let errors = errors
        .into_iter()
        .filter(|line| line.contains(" error") && seen.insert(line.clone()))
        .collect();
    (output.status.success(), errors)
}

#[test]
fn every_mistake_is_refused_with_its_message() {
    let mistakes = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes");
    let folder = libraries();
    let library = library(&folder);
    let mut sources: Vec<PathBuf> = fs::read_dir(&mistakes)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect();
    sources.sort();
    assert!(!sources.is_empty());
    for path in sources {
        let source = fs::read_to_string(&path).unwrap();
        let (compiles, errors) = compile(&source, &folder, &library);
        assert!(!compiles, "{} compiles", path.display());
        expect_file![path.with_extension("stderr")].assert_eq(&errors);
    }
}

#[test]
fn a_declaration_without_mistake_compiles() {
    let source = "
        use paymesh_plugin::spec::Attributes;
        /// A thing.
        #[derive(Clone, Debug, Attributes)]
        struct Thing {
            /// Its size.
            #[attr(default = 1, check = range(1..=9))]
            size: u8,
        }";
    let folder = libraries();
    assert_eq!(
        compile(source, &folder, &library(&folder)),
        (true, String::new())
    );
}
