//! A small provider with every feature of the protocol: the witness of what Terraform's core really
//! calls.
//!
//! Its objects are files in the directory of the provider block. With `SAMPLE_JOURNAL` set, every call
//! appends one line to that file: process, call, whether there was a prior state, private data in and
//! out.

mod functions;
mod journal;
mod note;
mod token;

use std::{path::PathBuf, process::ExitCode};

use async_trait::async_trait;
use paymesh_plugin::{
    at,
    findings::Findings,
    provider::{Client, Parts, Provider},
    spec::{Draft, Field, Spec},
};

/// Notes in files.
#[derive(Clone, Debug, PartialEq, Spec)]
#[spec(name = "sample")]
struct SampleConfig {
    /// Directory of the notes.
    directory: String,
}

/// The provider block, configured.
struct Session {
    /// `None` while the directory is unknown, which only happens while planning.
    directory: Option<PathBuf>,
}

struct Sample;

#[async_trait]
impl Provider for Sample {
    type Config = SampleConfig;
    type Session = Session;

    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const ADDRESS: &'static str = "registry.terraform.io/paymesh/sample";

    fn parts(&self) -> Parts<Session> {
        Parts::new()
            .resource(note::Note)
            .data_source(note::NoteLookup)
            .ephemeral(token::Token)
            .function(functions::Join)
    }

    async fn configure(
        &self,
        config: Draft<SampleConfig>,
        _: Client,
        found: &mut Findings,
    ) -> Option<Session> {
        let directory = match config.directory {
            Field::Known(directory) => Some(PathBuf::from(directory)),
            Field::Null | Field::Unknown => None,
        };
        if directory
            .as_ref()
            .is_some_and(|directory| !directory.is_dir())
        {
            found
                .error(at!(directory), "There is no such directory")
                .hint("create it, or name another one");
        }
        Some(Session { directory })
    }
}

fn main() -> ExitCode {
    paymesh_plugin::serve(Sample)
}
