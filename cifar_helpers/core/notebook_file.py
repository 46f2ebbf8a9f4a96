"""The file of a notebook."""

import textwrap
from pathlib import Path

import nbformat


def read(path: Path) -> nbformat.NotebookNode:
    """A notebook's cells, outputs and metadata, in version 4 of the format.

    Raises: ValueError names a file that is damaged; OSError where it cannot be read.
    """
    try:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        return notebook
    except OSError:  # says nothing of the content
        raise
    except Exception as error:  # as many kinds of errors as there are ways to be damaged
        raise damaged(path, error) from error


def damaged(path: Path, error: Exception) -> ValueError:
    """What to raise where a notebook's file, or the code in it, cannot be parsed."""
    reason = textwrap.shorten(str(error), 200)
    return ValueError(f"the notebook {path} is damaged ({reason}): restore it (git restore, where it is committed)")
