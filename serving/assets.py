"""The files that the pages load: read once, named by what is in them, so that browsers may keep them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "static"
MEDIA_TYPES: Final[Mapping[str, str]] = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
IMPORT: Final = re.compile(r'^(?:import|} from)\b.*"\./([\w-]+\.js)";$', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, as it is sent."""

    content: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class Assets:
    """All files, under one revision: modules import each other, so they change together."""

    files: Mapping[str, Asset]
    revision: str

    def modules(self, script: str) -> list[str]:
        """A script and all that it imports, so that a browser can ask for them at once."""
        found = [script]
        for name in found:
            imports = IMPORT.findall(self.files[name].content.decode())
            found += [other for other in dict.fromkeys(imports) if other not in found]
        return found


@cache
def load_assets() -> Assets:
    """Read the folder; no request can name a path in it."""
    files = {
        path.name: Asset(path.read_bytes(), MEDIA_TYPES[path.suffix])
        for path in sorted(FOLDER.iterdir())
        if path.suffix in MEDIA_TYPES
    }
    digest = hashlib.sha256()
    for name, asset in files.items():
        digest.update(f"{name}\0{len(asset.content)}\0".encode() + asset.content)
    return Assets(files, digest.hexdigest()[:12])
