"""MkDocs hook: gives the site the same folders as the repository.

Therefore relative links between pages work on the site and on GitHub.
"""

from pathlib import Path

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "CITATION.cff")
PATTERNS = ("docs/**/*.md", "docs/**/*.png", "docs/*.js", "benchmarks/*.md", "examples/*.ipynb")


def on_files(files, config):
    """Replaces the files of docs/ by the pages and pictures of the whole repository.

    On the site, each file has the same path as in the repository.
    """
    paths = [ROOT / page for page in PAGES] + [path for each in PATTERNS for path in sorted(ROOT.glob(each))]
    site = [
        File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)) for path in paths
    ]
    theme = [file for file in files if not (ROOT / "docs" / file.src_uri).exists()]
    return Files([*theme, *site])
