"""Facts to PDF by Typst: in a thread, without files, network or the fonts of the machine, the same bytes each time."""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import typst
from cachetools import LRUCache

TEMPLATE = Path(__file__).parent / "template" / "invoice.typ"
# Latin, Greek and Cyrillic; Arabic; Chinese, Japanese and Korean.
FONT_PACKAGES = (("fontpkg_noto_sans", "files"), ("fontpkg_noto_sans_arabic", "files"), ("noto_cjk_sans_otc", ""))
KEPT = 64


@dataclass(frozen=True)
class Pdf:
    """A document and the hex SHA-256 of its bytes."""

    content: bytes
    sha256: str


class Renderer:
    """Sets documents, one at a time: one page takes about 0.1 s of a processor, and more at once would starve others.

    The last few are kept, because the same facts make the same document.
    """

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._kept: LRUCache[str, Pdf] = LRUCache(KEPT)

    async def render(self, facts: Mapping[str, Any]) -> Pdf:
        """The document of these facts, whose values are texts and lists of texts as the template has them."""
        text = json.dumps(facts, sort_keys=True)
        async with self._turn:
            if text not in self._kept:
                self._kept[text] = await asyncio.to_thread(_compile, text)
            return self._kept[text]


def _compile(facts: str) -> Pdf:
    content = _compiler().compile(format="pdf", sys_inputs={"facts": facts})
    if not isinstance(content, bytes):
        raise TypeError("Typst made no document.")
    return Pdf(content, hashlib.sha256(content).hexdigest())


@cache
def _compiler() -> typst.Compiler:
    """Typst with the fonts of ours; the folder of the template is all that it can read."""
    return typst.Compiler(  # type: ignore[misc]  # the stub's type parameter belongs to nothing
        TEMPLATE,
        root=TEMPLATE.parent,
        font_paths=[str(files(package).joinpath(folder)) for package, folder in FONT_PACKAGES],
        ignore_system_fonts=True,
        # packages would be fetched from the network; here are none
        package_path=TEMPLATE.parent,
        package_cache_path=TEMPLATE.parent,
    )
