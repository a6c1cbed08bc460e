//! Which programs a stack is made of: those that were built, or those of the release before.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{Member, Release, Stack};

/// Names the folder of the release before; `make upgrade` sets it.
const BEFORE: &str = "PAYMESH_BEFORE_DIR";

/// The folder of the programs of a release.
pub(super) fn programs(release: Release) -> io::Result<PathBuf> {
    match release {
        Release::This => built(),
        Release::Before => match std::env::var_os(BEFORE) {
            Some(folder) => Ok(folder.into()),
            None => Err(io::Error::other(format!(
                "{BEFORE} is not set; `make upgrade` builds the release before and sets it"
            ))),
        },
    }
}

fn built() -> io::Result<PathBuf> {
    let folder = match std::env::var_os("PAYMESH_BIN_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => std::env::current_exe()?
            .ancestors()
            .skip(1)
            .find(|folder| folder.join(Member::Api.program()).is_file())
            .map(Path::to_owned)
            .unwrap_or_default(),
    };
    let missing = [
        Member::Api,
        Member::Processor,
        Member::Controller,
        Member::Acquirer,
    ]
    .into_iter()
    .find(|member| !folder.join(member.program()).is_file());
    match missing {
        None => Ok(folder),
        Some(member) => Err(io::Error::other(format!(
            "{} is not built; run `cargo build --workspace --bins`",
            member.program()
        ))),
    }
}

impl Stack {
    /// Has services be of another release, each from its next start on.
    pub fn use_release(&mut self, release: Release) -> io::Result<()> {
        self.programs = programs(release)?;
        Ok(())
    }
}
