"""Pages of the site that come from files outside docs/. mkdocs calls these hooks (mkdocs.yml).

The README becomes the first page and the changelog the last one, so that no text exists twice.
Other files of the repository that a page links to, such as config/config.yaml or a model card, are
brought in as pages of their own. In the sources the links are those that work in a checkout.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
PAGES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md"}
LANGUAGES = {".yaml": "yaml", ".py": "python", ".tsv": "text", ".csv": "text", ".cff": "yaml"}
# [text](target) and ![text](target); the target has no space, and no scheme or anchor alone.
LINK = re.compile(r"(?<=\]\()(?!https?:|mailto:|#)([^)\s#]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside docs/, and those that they link to in turn."""
    for source, uri in PAGES.items():
        files.append(_generated(config, source, uri))
    waiting = [file for file in files if file.src_uri.endswith(".md")]
    while waiting:
        page = waiting.pop()
        for target in _targets(page):
            uri = _site_uri(target)
            if target.startswith("docs/") or files.get_file_from_path(uri):
                continue
            if not (ROOT / target).is_file():
                raise PluginError(f"{_source(page)} links to {target}, which is no file")
            file = _generated(config, target, uri)
            files.append(file)
            waiting += [file] if uri.endswith(".md") else []
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links as the site has them: a checkout's README.md is the site's index.md."""
    source = _source(page.file)

    def relative(match: re.Match[str]) -> str:
        uri = _site_uri(_resolved(source, match[1]))
        return posixpath.relpath(uri, posixpath.dirname(page.file.src_uri) or ".")

    return LINK.sub(relative, markdown)


def _generated(config: MkDocsConfig, source: str, uri: str) -> File:
    """A file of the repository as a page; text that is not Markdown as a block of code."""
    path = ROOT / source
    if not uri.endswith(".md"):
        return File.generated(config, uri, content=path.read_bytes())
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".md":
        text = f"# {source}\n\n````{LANGUAGES.get(path.suffix, 'text')}\n{text}\n````\n"
    file = File.generated(config, uri, content=text)
    file.repository_path = source
    return file


def _site_uri(target: str) -> str:
    """Where the site has a file of the repository: docs/x.md is x.md, config/x.yaml a page."""
    if target in PAGES:
        return PAGES[target]
    if target.startswith("docs/"):
        return target.removeprefix("docs/")
    if Path(target).suffix in {".jpg", ".png", ".svg", ".md"}:
        return f"repository/{target}"
    return f"repository/{target}.md"


def _targets(page: File) -> list[str]:
    return [_resolved(_source(page), match[1]) for match in LINK.finditer(page.content_string)]


def _source(file: File) -> str:
    """The file's path in the repository."""
    return getattr(file, "repository_path", f"docs/{file.src_uri}")


def _resolved(source: str, link: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
