"""What images promise, without building one: `python3 -m unittest discover -s tests/images`."""

import os
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "services" / "images"))

import contain  # noqa: E402
import oci  # noqa: E402

FILES = {"program": (0o755, b"of no use" * 1000), "etc/ssl/certs/some.crt": (0o644, b"nobody")}


class Images(unittest.TestCase):
    """A layout as it is written, and as another program reads it."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def write(self, name, files=FILES):
        """A layout in a folder of its own."""
        return oci.write(self.folder / name, files, "/program", "amd64", {"some": "label"})

    def contents(self, name):
        """Every file of a layout."""
        folder = self.folder / name
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def test_the_same_files_give_the_same_bytes_whoever_writes_them_in_which_order(self):
        first = self.write("first")
        self.addCleanup(os.umask, os.umask(0o077))
        again = self.write("again", dict(reversed(FILES.items())))
        self.assertEqual(first, again)
        self.assertEqual(self.contents("first"), self.contents("again"))

    def test_the_digest_is_known(self):
        # Changes with the format only, never with the day, the machine or the version of Python.
        self.assertEqual(oci.sha256(oci.archive(FILES)), "sha256:3f6c2fb30c422111e9cca568afbabdd250567f8a8da4adb32f92796c4ce253ba")

    def test_another_file_is_another_image(self):
        self.assertNotEqual(self.write("first"), self.write("other", FILES | {"program": (0o755, b"other")}))

    def test_what_was_written_is_read_by_its_digests(self):
        self.write("first")
        image = contain.Image(self.folder / "first")
        self.assertEqual(image.layers, [oci.archive(FILES)])
        self.assertEqual(image.config["User"], "65532:65532")
        self.assertEqual(image.config["Entrypoint"], ["/program"])

    def test_an_image_of_which_any_part_was_changed_is_not_run(self):
        self.write("first")
        blobs = sorted((self.folder / "first/blobs/sha256").iterdir())
        self.assertEqual(len(blobs), 3)
        for blob in blobs:
            content = blob.read_bytes()
            blob.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
            with self.assertRaisesRegex(ValueError, "an image was changed"):
                contain.Image(self.folder / "first")
            blob.write_bytes(content)

    def test_what_would_lie_outside_of_the_image_is_not_unpacked(self):
        root = self.folder / "root"
        root.mkdir()
        for name in ("../out", "/out", "etc/../../out"):
            with self.assertRaisesRegex(ValueError, "outside of the image"):
                contain.unpack(oci.archive({name: (0o644, b"")}), root)
        self.assertEqual(list(self.folder.iterdir()), [root])


if __name__ == "__main__":
    unittest.main()
