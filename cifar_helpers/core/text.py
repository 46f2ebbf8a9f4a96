"""Text from outside the program, such as the name of a file or a field of a record, made safe to show."""

import hashlib
import html
import re
import sys
import unicodedata


def printable(text: object, encoding: str | None = None) -> str:
    r"""The text in one line that every terminal can print: what is not printable becomes an escape such as \x1b.

    Control characters (a file's name may hold an escape sequence that rewrites the screen, or a new line), marks that
    reverse the direction of text, and what `encoding` (default: that of standard output) has no character for. Bytes
    that are not text, which Python holds as surrogates, become U+FFFD.
    """
    encoding = encoding or getattr(sys.stdout, "encoding", None) or "utf-8"
    return "".join(map(_visible, str(text))).encode(encoding, "backslashreplace").decode(encoding)


def short_hash(text: str) -> str:
    """Eight hexadecimal digits of the text's SHA-256: names a file by what made it."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def markup(text: str) -> str:
    """The text in HTML: nothing in it is a tag."""
    return html.escape(text, quote=False)


def markdown(text: str) -> str:
    """The text in one line of Markdown: no tag, link, emphasis, code, formula, or border of a table's cell."""
    text = markup(" ".join(text.split())).replace("|", "/")
    return re.sub(r"([\\`*~$]|(?<!\w)_|_(?!\w)|(?<=\])[(\[:])", r"\\\1", text)


def _visible(letter: str) -> str:
    category = unicodedata.category(letter)
    if category == "Cs":  # a surrogate
        return "\ufffd"
    if letter.isprintable() or category == "Zs":  # a space of any width is harmless
        return letter
    return letter.encode("unicode_escape").decode("ascii")
