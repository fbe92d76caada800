"""What mkdocs needs beyond docs/: README and CHANGELOG as pages, and the files of the repository that pages link to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File, Files

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig

ROOT = Path(__file__).parents[1]
PAGES = {
    "index.md": "README.md",
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
    "changelog.md": "CHANGELOG.md",
}
LINK = re.compile(r"\]\(\.\./([^)#\s]+)\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and files that are outside docs/."""
    for name, source in PAGES.items():
        files.append(File.generated(config, name, content=_as_page((ROOT / source).read_text("utf-8"))))
    linked = {path for page in files.documentation_pages() for path in LINK.findall(page.content_string)}
    linked |= set(re.findall(r"\]\(source/([^)#\s]+)\)", files.get_file_from_path("index.md").content_string))
    for path in sorted(linked):
        found = ROOT / path
        if found.is_file():
            files.append(File.generated(config, f"source/{path}.txt", content=found.read_bytes()))
        else:
            listing = "\n".join(str(file.relative_to(found)) for file in sorted(found.rglob("*")) if file.is_file())
            files.append(File.generated(config, f"source/{path}.txt", content=listing))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Point links to files of the repository to their copies."""
    return re.sub(r"\]\((?:\.\./|source/)([^)#\s]+)\)", r"](source/\1.txt)", markdown)


def _as_page(text: str) -> str:
    """Return README as a page of docs/: links into docs/ become links beside it."""
    text = re.sub(r"\]\(docs/", "](", text)
    for page, source in PAGES.items():
        text = text.replace(f"]({source})", f"]({page})")
    return re.sub(r"\]\((?!https?:|#|[\w./-]+\.(?:md|svg)[)#])([^)\s]+)\)", r"](source/\1)", text)
