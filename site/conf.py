"""`make html`: README and notebooks as a small site, from the stored outputs. Nothing is run."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from badges import address  # noqa: E402

project = "Five networks on CIFAR-10"
author = "the contributors"
project_copyright = author
html_title = project

extensions = ["myst_nb", "sphinx_external_toc"]  # notebooks and Markdown as pages; the table of contents in one file
external_toc_path = "site/_toc.yml"
texts = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md", "notebooks/README.md"]
include_patterns = [*texts, "notebooks/[0-9]*.ipynb"]
nb_execution_mode = "off"
# Cells with the tag hide-input: set-up, records, figures, tables.
nb_code_prompt_show, nb_code_prompt_hide = "Show the code", "Hide the code"
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
# The figures stand on white: so they are readable on a dark page as well.
html_theme = "furo"
if address():  # links from each page to its source
    html_theme_options = {"source_repository": f"{address()}/", "source_branch": "main", "source_directory": ""}
html_static_path = ["static"]
html_favicon = "static/favicon.svg"
html_css_files = ["site.css"]
html_additional_pages = {"index": "index.html"}
templates_path = ["templates"]
html_copy_source = False
html_show_sphinx = False
html_math_renderer = "mathml"


def setup(app):
    """Formulas as MathML, which browsers draw by themselves: the site needs no script and no network for them."""
    from docutils.nodes import SkipNode
    from docutils.utils.math.latex2mathml import tex2mathml

    def inline(writer, node):
        writer.body.append(tex2mathml(node.astext()))
        raise SkipNode

    def block(writer, node):
        writer.body.append(f'<div class="math">{tex2mathml(node.astext(), as_block=True)}</div>')
        raise SkipNode

    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
