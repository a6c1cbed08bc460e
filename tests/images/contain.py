"""Runs an OCI image layout as a container: `python3 tests/images/contain.py LAYOUT [ARGUMENT...]`.

What an orchestrator with tight settings gives, and less: a root that holds the image and can only be
read, the image's user, no capability, no way to a new one; neither /proc nor /dev. No root and no
Docker: a user namespace in which whoever starts this is the image's user; so of what is mounted, root's
files are its own where root starts it. The network and the process id are the machine's: PostgreSQL is
where it was, and who kills this kills the service.

Nothing is taken over from what writes images: each blob is what its digest says, or nothing runs.
Linux 5.12 and glibc 2.36 or newer.
"""

import ctypes
import hashlib
import io
import json
import os
import sys
import tarfile
import zlib
from pathlib import Path

# <sched.h>, <sys/mount.h>, <sys/prctl.h>, <linux/fcntl.h>
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 0x1000, 0x4000, 0x40000, 2
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, AT_RECURSIVE, AT_FDCWD = 1, 2, 4, 0x8000, -100
PR_SET_NO_NEW_PRIVS, PR_CAPBSET_DROP = 38, 24
# Settings whose files an orchestrator mounts, with those beside them.
MOUNTED = ("KUBECONFIG", "PAYMESH_TLS_CERTIFICATE")
# What every runtime mounts.
NAMES = ("/etc/hosts", "/etc/resolv.conf")

libc = ctypes.CDLL(None, use_errno=True)


def call(name, *arguments) -> None:
    """A function of the C library that says -1 when it fails."""
    words = [word.encode() if isinstance(word, str) else word for word in arguments]
    if getattr(libc, name)(*words) == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


class Image:
    """What a layout holds, each part read by its digest."""

    def __init__(self, layout: Path):
        self.blobs = layout / "blobs"
        if json.loads((layout / "oci-layout").read_text("utf-8")) != {"imageLayoutVersion": "1.0.0"}:
            raise ValueError(f"{layout} is no OCI image layout of version 1.0.0")
        index = json.loads((layout / "index.json").read_text("utf-8"))
        manifest = json.loads(self.blob(index["manifests"][0]))
        whole = json.loads(self.blob(manifest["config"]))
        self.config = whole["config"]
        self.layers = [zlib.decompress(self.blob(layer), zlib.MAX_WBITS | 16) for layer in manifest["layers"]]
        check([digest_of(tar) for tar in self.layers], whole["rootfs"]["diff_ids"])

    def blob(self, descriptor) -> bytes:
        content = (self.blobs / descriptor["digest"].replace(":", "/")).read_bytes()
        check([digest_of(content), len(content)], [descriptor["digest"], descriptor["size"]])
        return content


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def check(found, said) -> None:
    """Refuses what is not what its descriptor says."""
    if found != said:
        raise ValueError(f"an image was changed: {found} where {said} should be")


def become(user: str) -> None:
    """A user namespace in which this process is `USER:GROUP`, and may mount."""
    number, group = user.split(":")
    outer, outer_group = os.geteuid(), os.getegid()
    call("unshare", CLONE_NEWUSER | CLONE_NEWNS)
    # In this order: without it nobody but root may map a group.
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{number} {outer} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {outer_group} 1")
    call("mount", None, "/", None, MS_REC | MS_PRIVATE, None)


def unpack(layer: bytes, root: Path) -> None:
    """Folders and files, which is all that an image of ours has; owned by the image's user, since there is no other."""
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        for entry in tar:
            if not (entry.isdir() or entry.isfile()):
                raise ValueError(f"{entry.name} is neither a folder nor a file")
            place = root / entry.name
            if not Path(os.path.normpath(place)).is_relative_to(root):
                raise ValueError(f"{entry.name} is outside of the image")
            if entry.isdir():
                place.mkdir(exist_ok=True)
            else:
                place.write_bytes(tar.extractfile(entry).read())
            place.chmod(entry.mode)


def bind(source: Path, root: Path) -> None:
    """Shows a file or folder of the machine at the same place of the new root."""
    target = root / source.relative_to("/")
    if source.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    call("mount", str(source), str(target), None, MS_BIND | MS_REC, None)


def enter(root: Path) -> None:
    """Nothing below `root` can be written from now on, and nothing above it is there."""
    # struct mount_attr: set, clear, propagation, user namespace.
    wanted = (ctypes.c_uint64 * 4)(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0, 0, 0)
    call("mount_setattr", AT_FDCWD, str(root), AT_RECURSIVE, wanted, ctypes.c_size_t(ctypes.sizeof(wanted)))
    os.chdir(root)
    # The old root lies on the new one, and goes: pivot_root(2), "pivot_root(".", ".")".
    call("pivot_root", ".", ".")
    call("umount2", ".", MNT_DETACH)


def give_up() -> None:
    """No capability, now or later; what is left of them ends with the next program, whose user is not root."""
    call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    for capability in range(last + 1):
        call("prctl", PR_CAPBSET_DROP, capability, 0, 0, 0)


def main(layout: str, *arguments: str) -> None:
    """Becomes the program of the image."""
    root = Path(layout).resolve()
    image = Image(root)
    binds = [Path(name).resolve().parent for name in map(os.environ.get, MOUNTED) if name]
    become(image.config["User"])
    # On the layout, which has been read: a place that is surely there and that nobody needs.
    call("mount", "tmpfs", str(root), "tmpfs", 0, "mode=755")
    for layer in image.layers:
        unpack(layer, root)
    for source in [*binds, *map(Path, NAMES)]:
        bind(source, root)
    give_up()
    enter(root)
    os.chdir(image.config["WorkingDir"])
    program = image.config["Entrypoint"]
    os.execv(program[0], [*program, *arguments])


if __name__ == "__main__":
    main(*sys.argv[1:])
