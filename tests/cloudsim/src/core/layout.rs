//! Where things are on disk: state directory, ports, simulator file.

use std::{
    env, fs, io,
    io::Write,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// `${XDG_STATE_HOME:-~/.local/state}/paymesh`.
pub(crate) fn state_home() -> Result<PathBuf, String> {
    let base = env::var_os("XDG_STATE_HOME")
        .filter(|dir| Path::new(dir).is_absolute())
        .map(PathBuf::from);
    let base = match base {
        Some(base) => base,
        None => PathBuf::from(env::var_os("HOME").ok_or(
            "neither XDG_STATE_HOME nor HOME is set; pass --state-dir and --simulator-file",
        )?)
        .join(".local/state"),
    };
    Ok(base.join("paymesh"))
}

/// Makes a directory that only its owner can enter.
pub(crate) fn make_private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

/// The same for what is secret: one that is there already must be ours, and nobody else may write
/// into it.
pub(crate) fn take_private_dir(path: &Path) -> io::Result<()> {
    make_private_dir(path)?;
    let found = fs::metadata(path)?;
    let is_ours = found.uid() == rustix::process::geteuid().as_raw();
    if is_ours && found.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        "others may write into it; choose another folder, or take that right away with chmod go-w",
    ))
}

/// Opens a file that only its owner can read.
pub(crate) fn open_privately(path: &Path) -> io::Result<fs::File> {
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// Writes a file atomically, readable by its owner only.
pub(crate) fn write_privately(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

/// The content of `path`, made by `make` if there is none yet.
pub(crate) fn read_or_make(path: &Path, make: impl FnOnce() -> String) -> io::Result<String> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let text = make();
            write_privately(path, text.as_bytes())?;
            Ok(text)
        }
        Err(error) => Err(error),
    }
}
