//! Kafka's own programs.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::KafkaError;

/// The launcher of all of them, and the folder of those who use it.
pub(super) struct Tools {
    launcher: PathBuf,
    pub(super) folder: PathBuf,
}

impl Tools {
    pub(super) fn new(launcher: &Path, folder: &Path) -> Self {
        Self {
            launcher: launcher.to_owned(),
            folder: folder.to_owned(),
        }
    }

    /// A program, to be started.
    pub(super) fn command(&self, main: &str) -> Command {
        let mut command = Command::new(&self.launcher);
        command.arg(main);
        command
    }

    /// Runs a program to its end; gives what it prints.
    pub(super) fn run(&self, main: &str, words: &[&str]) -> Result<String, KafkaError> {
        self.fed(main, words, Stdio::null())
    }

    /// Runs a program that reads lines.
    pub(super) fn run_on(
        &self,
        main: &str,
        words: &[&str],
        lines: &str,
    ) -> Result<String, KafkaError> {
        let file = self.folder.join("lines");
        self.file(fs::write(&file, lines))?;
        let lines = self.file(fs::File::open(&file))?;
        self.fed(main, words, lines.into())
    }

    fn fed(&self, main: &str, words: &[&str], input: Stdio) -> Result<String, KafkaError> {
        let mut command = Command::new(&self.launcher);
        command.arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=error");
        let output = self.file(command.arg(main).args(words).stdin(input).output())?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let text = [output.stdout, output.stderr].concat();
        Err(KafkaError::Program {
            main: main.to_owned(),
            output: String::from_utf8_lossy(&text).into_owned(),
        })
    }

    pub(super) fn file<T>(&self, result: io::Result<T>) -> Result<T, KafkaError> {
        result.map_err(|reason| KafkaError::File {
            path: self.folder.clone(),
            reason,
        })
    }
}
