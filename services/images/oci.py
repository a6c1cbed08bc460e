"""An OCI image layout of a few files: the same files give the same bytes.

What could differ from run to run is left out or fixed: times are 0, owner is root, entries and keys
are sorted. https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
"""

import hashlib
import io
import json
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath

MEDIA_TYPE = "application/vnd.oci.image"
# Of nobody who exists on a node; the number that distroless images made usual.
USER = "65532:65532"


def archive(files) -> bytes:
    """A tar of `{path: (mode, content)}` and the folders above."""
    folders = {str(folder) for path in files for folder in PurePosixPath(path).parents} - {"."}
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(folders | files.keys()):
            entry = tarfile.TarInfo(path)
            if path in folders:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(entry)
            else:
                entry.mode, content = files[path]
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return made.getvalue()


def packed(content: bytes) -> bytes:
    """Gzip by zlib itself, which writes neither a time nor a name."""
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return packer.compress(content) + packer.flush()


def sha256(content: bytes) -> str:
    """A digest as OCI writes it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def write(folder: Path, files, entrypoint, architecture, labels):
    """Writes the layout of one image in the place of what is there; gives its digest and how much is pulled."""
    shutil.rmtree(folder, ignore_errors=True)
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def blob(kind, content):
        if not isinstance(content, bytes):
            content = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
        digest = sha256(content)
        (blobs / digest.split(":")[1]).write_bytes(content)
        return {"mediaType": f"{MEDIA_TYPE}.{kind}", "digest": digest, "size": len(content)}

    tar = archive(files)
    layer = blob("layer.v1.tar+gzip", packed(tar))
    config = blob("config.v1+json", {
        "architecture": architecture,
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {"User": USER, "Entrypoint": [entrypoint], "WorkingDir": "/", "Labels": labels},
        "rootfs": {"type": "layers", "diff_ids": [sha256(tar)]},
    })
    version, annotations = {"schemaVersion": 2}, {"annotations": labels}
    manifest = blob("manifest.v1+json", version | annotations | {
        "mediaType": f"{MEDIA_TYPE}.manifest.v1+json", "config": config, "layers": [layer],
    })
    manifests = [manifest | {"platform": {"architecture": architecture, "os": "linux"}}]
    index = version | {"mediaType": f"{MEDIA_TYPE}.index.v1+json", "manifests": manifests}
    (folder / "index.json").write_text(json.dumps(index, sort_keys=True), "utf-8")
    # Last: what was interrupted is no layout.
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}', "utf-8")
    return manifest["digest"], sum(part["size"] for part in (manifest, config, layer))
