"""How Sphinx makes pages of these files: `sphinx-build -W -n -q docs docs/_build`.

The sources are plain Markdown, also to be read where they lie. So the table of contents is no directive in the index:
it is made of the links there, in their order. A page that the index does not link is an error.
"""

import re

project = "digest"
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "digest"
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
myst_heading_anchors = 3


def _with_contents(app, docname, source):
    """Adds to the index the table of contents that its headings and links are."""
    if docname != "index":
        return
    contents = []
    for heading, text in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", source[0], re.M | re.S):
        pages = "\n".join(dict.fromkeys(re.findall(r"\]\(([^):#]+\.md)\)", text)))
        contents.append(f"\n```{{toctree}}\n:hidden:\n:caption: {heading}\n\n{pages}\n```\n" if pages else "")
    source[0] += "".join(contents)


def setup(app):
    """Called by Sphinx."""
    app.connect("source-read", _with_contents)
