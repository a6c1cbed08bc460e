//! Files that are read again when they change, as cert-manager and the like renew them.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use metrics::{counter, describe_counter, describe_gauge, gauge};
use tokio::sync::watch;

/// How often they are looked at. A renewal is announced days before the old certificate ends.
const LOOK: Duration = Duration::from_secs(2);

const EXPIRES: &str = "paymesh_certificate_expires_seconds";
const REFUSED: &str = "paymesh_certificates_refused_total";

/// Makes something of what the files hold, and says when their certificate is over, in seconds since
/// 1970; or says everything that is wrong with it.
type Build<T> = Box<dyn Fn(&[Vec<u8>]) -> Result<(T, i64), Vec<String>> + Send + Sync>;

/// What a file holds, and where it is. Where it is, is never told: what is given in place of a path may
/// be the key itself, and no text shows whether it is.
pub type Held = (&'static str, PathBuf);

/// Some files and what was made of them.
pub struct Files<T> {
    /// What they are for, in metrics.
    name: &'static str,
    held: Vec<Held>,
    texts: Vec<Vec<u8>>,
    build: Build<T>,
    made: Arc<T>,
    expires: i64,
}

/// What is made of files, as they are now.
pub struct Renewed<T>(watch::Receiver<Arc<T>>);

impl<T> Clone for Renewed<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Renewed<T> {
    /// What was made of them last.
    pub fn now(&self) -> Arc<T> {
        self.0.borrow().clone()
    }

    /// One that tells of what is made of them from now on.
    #[must_use]
    pub fn from_now(&self) -> Self {
        let mut seen = self.0.clone();
        seen.mark_unchanged();
        Self(seen)
    }

    /// Whether something else was made of them since.
    pub fn is_other(&self) -> bool {
        self.0.has_changed().unwrap_or(false)
    }

    /// Returns once something else was made of them since.
    pub async fn other(&self) {
        if self.0.clone().changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl<T: Send + Sync + 'static> Files<T> {
    /// Reads files; says everything that is wrong with them.
    pub fn read(
        name: &'static str,
        files: Vec<Held>,
        build: impl Fn(&[Vec<u8>]) -> Result<(T, i64), Vec<String>> + Send + Sync + 'static,
    ) -> Result<Self, Vec<String>> {
        let texts = read_all(&files)?;
        let (made, expires) = build(&texts)?;
        Ok(Self {
            name,
            held: files,
            texts,
            build: Box::new(build),
            made: Arc::new(made),
            expires,
        })
    }

    /// What they are now.
    pub fn made(&self) -> &T {
        &self.made
    }

    /// Looks at them from now on, as long as somebody wants to know.
    pub fn follow(self) -> Renewed<T> {
        describe_gauge!(
            EXPIRES,
            "When the certificate that is in use is over, in seconds since 1970"
        );
        describe_counter!(
            REFUSED,
            "New certificates that could not be used: those before still are"
        );
        counter!(REFUSED, "files" => self.name).increment(0);
        self.show();
        let (tell, made) = watch::channel(self.made.clone());
        tokio::spawn(self.watch(tell));
        Renewed(made)
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "it is before the year 285,000,000"
    )]
    fn show(&self) {
        gauge!(EXPIRES, "files" => self.name).set(self.expires as f64);
    }

    async fn watch(mut self, tell: watch::Sender<Arc<T>>) {
        // One file is written after the other, so what is wrong is told when it stays.
        let (mut seen, mut told) = (None, None);
        loop {
            tokio::select! {
                () = tell.closed() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            match self.look() {
                Ok(false) => (seen, told) = (None, None),
                Ok(true) => {
                    tracing::info!(files = self.name, "certificates were renewed");
                    tell.send_replace(self.made.clone());
                    self.show();
                    (seen, told) = (None, None);
                }
                Err(mistakes) => {
                    let mistakes = Some(mistakes);
                    if seen == mistakes && told != mistakes {
                        let reason = mistakes.as_ref().map(|mistakes| mistakes.join("; "));
                        tracing::error!(reason, "new certificates are not used; those before are");
                        counter!(REFUSED, "files" => self.name).increment(1);
                        told.clone_from(&mistakes);
                    }
                    seen = mistakes;
                }
            }
        }
    }

    /// Whether they are others now, and can be used.
    pub(crate) fn look(&mut self) -> Result<bool, Vec<String>> {
        let texts = read_all(&self.held)?;
        if texts == self.texts {
            return Ok(false);
        }
        let (made, expires) = (self.build)(&texts)?;
        (self.made, self.expires, self.texts) = (Arc::new(made), expires, texts);
        Ok(true)
    }
}

fn read_all(files: &[Held]) -> Result<Vec<Vec<u8>>, Vec<String>> {
    let mut mistakes = Vec::new();
    let mut texts = Vec::new();
    for (what, path) in files {
        match fs::read(path) {
            Ok(text) => texts.push(text),
            Err(reason) => {
                mistakes.push(format!("the file of the {what} cannot be read: {reason}"));
            }
        }
    }
    if mistakes.is_empty() {
        Ok(texts)
    } else {
        Err(mistakes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_taken_when_they_changed_and_can_be_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "one").unwrap();
        let held = vec![("test", path.clone())];
        let mut files = Files::read("test", held, |texts| match &texts[0][..] {
            b"bad" => Err(vec!["it is bad".to_owned()]),
            text => Ok((text.to_vec(), 9)),
        })
        .unwrap();
        assert_eq!(files.made(), b"one");
        assert_eq!(files.look(), Ok(false));
        fs::write(&path, "two").unwrap();
        assert_eq!(files.look(), Ok(true));
        assert_eq!(files.made(), b"two");
        fs::write(&path, "bad").unwrap();
        assert_eq!(files.look(), Err(vec!["it is bad".to_owned()]));
        assert_eq!(files.made(), b"two");
        fs::remove_file(&path).unwrap();
        assert!(files.look().is_err());
        fs::write(&path, "two").unwrap();
        assert_eq!(files.look(), Ok(false));
    }

    #[test]
    fn a_key_that_is_given_in_place_of_a_path_is_not_told() {
        let long = "hunter2".repeat(4_096);
        for key in [
            "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n",
            "-----BEGIN PRIVATE KEY----- hunter2 -----END PRIVATE KEY-----",
            "hunter2\n",
            // The body of a key, on one line.
            "hunter2",
            "/no/hunter2",
            long.as_str(),
        ] {
            let held = [("key", PathBuf::from(key))];
            let said = read_all(&held).unwrap_err().concat();
            let start = "the file of the key cannot be read: ";
            assert!(said.starts_with(start), "{said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}
