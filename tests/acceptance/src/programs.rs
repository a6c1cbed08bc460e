//! The programs under test, built once per test process, and the mirror Terraform installs from.

use std::{
    env, fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// Where the programs are.
pub(crate) struct Programs {
    /// The simulated cloud.
    pub(crate) cloudsim: PathBuf,
    /// The provider.
    pub(crate) provider: PathBuf,
}

/// The programs: those in `PAYMESH_BIN_DIR`, else built now.
pub(crate) fn programs() -> &'static Programs {
    static PROGRAMS: OnceLock<Programs> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let folder = env::var_os("PAYMESH_BIN_DIR").map_or_else(build, PathBuf::from);
        Programs {
            cloudsim: folder.join("paymesh-cloudsim"),
            provider: folder.join("terraform-provider-paymesh"),
        }
    })
}

fn build() -> PathBuf {
    let status = Command::new(env!("CARGO"))
        .args([
            "build",
            "-q",
            "--locked",
            "-p",
            "paymesh",
            "-p",
            "paymesh-cli",
        ])
        .args(["-p", "paymesh-cloudsim"])
        .status()
        .expect("cargo runs");
    assert!(
        status.success(),
        "the provider or the simulated cloud does not build"
    );
    // A test program lies in `<target>/<profile>/deps`.
    let test = env::current_exe().expect("a process knows its program");
    test.ancestors()
        .nth(2)
        .expect("a test program lies two folders below the profile's folder")
        .to_owned()
}

/// The folder of the programs.
pub fn programs_folder() -> &'static Path {
    let folder = programs().provider.parent();
    folder.expect("a program lies in a folder")
}

/// Where the provider's program is.
pub fn provider() -> &'static Path {
    &programs().provider
}

/// Fills `folder` as a filesystem mirror, for both registries' names of the provider.
pub(crate) fn mirror(folder: &Path) -> io::Result<()> {
    offer(folder, "paymesh/paymesh")
}

/// Adds the provider to the mirror `folder` under the name `source`.
pub(crate) fn offer(folder: &Path, source: &str) -> io::Result<()> {
    let system = match env::consts::OS {
        "macos" => "darwin",
        other => other,
    };
    let machine = match env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let version = env!("CARGO_PKG_VERSION");
    let name = source.rsplit('/').next().unwrap_or(source);
    for registry in ["registry.terraform.io", "registry.opentofu.org"] {
        let package = folder.join(format!("{registry}/{source}/{version}/{system}_{machine}"));
        fs::create_dir_all(&package)?;
        let link = package.join(format!("terraform-provider-{name}_v{version}"));
        symlink(&programs().provider, link)?;
    }
    Ok(())
}
