"""Hooks of MkDocs: files from outside docs/ in the site, headings' anchors, and the check of what was built."""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from docs.site_check import problems
from docs.site_pages import outside_files, place_in_site, slug, with_links_of_site, with_lists_of_markdown

ROOT = Path(__file__).parents[1]


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Give headings the anchors that they have on GitHub."""
    config.mdx_configs.setdefault("toc", {})["slugify"] = slug
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add README.md, the other pages of the project, and each file that a page links to."""
    pages = [_path(file) for file in files.documentation_pages()]
    for path in outside_files(ROOT, pages):
        files.append(File.generated(config, place_in_site(path), abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: object) -> str:
    """Give the page links and lists as MkDocs understands them."""
    return with_lists_of_markdown(with_links_of_site(_path(page.file), markdown))


def on_post_build(config: MkDocsConfig) -> None:
    """Check every link, anchor and loaded file of the site; the build fails if one is wrong."""
    if found := problems(Path(config.site_dir)):
        raise PluginError("\n".join(["the site has faults:", *found]))


def _path(file: File) -> str:
    assert file.abs_src_path is not None
    return Path(file.abs_src_path).relative_to(ROOT).as_posix()
