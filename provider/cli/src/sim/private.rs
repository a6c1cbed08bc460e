//! Files that only their owner can read, and never what somebody else has linked to their place.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rustix::fs::OFlags;

/// Opens the file at `path`, made if there is none; what is in it stays.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
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
