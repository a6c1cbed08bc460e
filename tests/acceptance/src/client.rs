//! The client under test: some version of Terraform or OpenTofu.

use std::{
    env, fmt,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// A Terraform or OpenTofu executable.
#[derive(Clone, Debug)]
pub struct Client {
    path: PathBuf,
    title: String,
    version: (u32, u32),
}

impl Client {
    /// The client under test.
    pub fn here() -> &'static Self {
        static HERE: OnceLock<Client> = OnceLock::new();
        HERE.get_or_init(|| {
            let named = env::var_os("PAYMESH_CLIENT").map(PathBuf::from);
            let path = named
                .or_else(|| in_path("terraform"))
                .or_else(|| in_path("tofu"))
                .expect("no terraform or tofu in PATH; `make tools` fetches them");
            Self::at(&path)
        })
    }

    fn at(path: &Path) -> Self {
        let answer = Command::new(path)
            .arg("version")
            .env_remove("TF_CLI_CONFIG_FILE")
            .env("CHECKPOINT_DISABLE", "1")
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let text = String::from_utf8_lossy(&answer.stdout).into_owned();
        let title = text.lines().next().unwrap_or_default().to_owned();
        let mut numbers = title
            .rsplit('v')
            .next()
            .unwrap_or_default()
            .split('.')
            .filter_map(|number| number.parse().ok());
        let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        Self {
            path: path.to_owned(),
            title,
            version,
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The registry whose names it takes when a source names none.
    pub fn registry(&self) -> &'static str {
        if self.is_opentofu() {
            "registry.opentofu.org"
        } else {
            "registry.terraform.io"
        }
    }

    /// Whether it is OpenTofu.
    pub fn is_opentofu(&self) -> bool {
        self.title.starts_with("OpenTofu")
    }

    /// Whether it is at least this version.
    pub fn at_least(&self, major: u32, minor: u32) -> bool {
        self.version >= (major, minor)
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title)
    }
}

fn in_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}
