"""Take what the page needs of pdf.js out of its npm package: ``python tools/vendor_pdfjs.py [ROOT]``.

Needs npm, and below ROOT (by default ``/``) Debian's package fonts-liberation2: pdf.js comes with an older version of
these fonts, under the GPL; this one is under the OFL. The files are committed, so neither users nor tests need this.
"""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

VERSION = "6.5.438"
SHA256 = "7461aefcd27c4ef0dd76f9ca5760f09466eb6b3f934432670c12132e7b3d6faa"
FOLDER = Path(__file__).parent.parent / "sharedllm_docs" / "serving" / "http" / "page" / "vendor"
PLAIN = {
    "package/legacy/build/pdf.min.mjs": "pdf.min.mjs",
    "package/legacy/build/pdf.worker.min.mjs": "pdf.worker.min.mjs",
    "package/LICENSE": "LICENSE",
}
"""The legacy build: the other one needs a browser of the same year."""
PACKED = ("package/cmaps/", "package/standard_fonts/", "package/wasm/LICENSE")
"""Character maps of Asian fonts, the fonts that every PDF may leave out, licences."""
DECODERS = ("package/wasm/jbig2_nowasm_fallback.js", "package/wasm/openjpeg_nowasm_fallback.js")
"""Decoders of images; in JavaScript, since the page's content policy allows no WebAssembly."""
LIBERATION = "usr/share/fonts/truetype/liberation2"
LIBERATION_LICENSE = "usr/share/doc/fonts-liberation2/copyright"


def main(root: Path) -> None:
    """Fetch, check and write; the system's files are below ``root``."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", f"pdfjs-dist@{VERSION}", "--pack-destination", folder], check=True)
        (archive,) = Path(folder).glob("*.tgz")
        data = archive.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        raise SystemExit(f"pdfjs-dist {VERSION} has the digest {found}, not {SHA256}.")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(data)) as package:
        files = {member.name: _bytes(package, member) for member in package.getmembers() if member.isfile()}
    for name, target in PLAIN.items():
        (FOLDER / target).write_bytes(files[name])
    chosen = {name: data for name, data in files.items() if name.startswith(PACKED) or name in DECODERS}
    for name in [name for name in chosen if "/Liberation" in name]:
        chosen[name] = (root / LIBERATION / Path(name).name).read_bytes()
    chosen["package/standard_fonts/LICENSE_LIBERATION"] = (root / LIBERATION_LICENSE).read_bytes()
    with zipfile.ZipFile(FOLDER / "pdfjs-data.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for name in sorted(chosen):
            entry = zipfile.ZipInfo(name.removeprefix("package/"))  # without a date: the same bytes each time
            entry.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(entry, chosen[name])


def _bytes(package: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = package.extractfile(member)
    assert stream is not None
    return stream.read()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "/"))
