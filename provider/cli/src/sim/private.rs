//! Files that only their owner can read, and never what somebody else has linked to their place.

use std::{
    fs::{File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use rustix::fs::OFlags;

/// Opens the file at `path`, made if there is none; what is in it stays. One that others could read
/// they cannot read any more.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

/// Opens it empty.
pub(crate) fn open_empty(path: &Path) -> io::Result<File> {
    let file = open(path)?;
    file.set_len(0)?;
    Ok(file)
}

/// Writes `content` into it, in the place of what was there.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    open_empty(path)?.write_all(content)
}
