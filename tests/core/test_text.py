import pytest

from cifar_helpers.core.text import markdown, printable


@pytest.mark.parametrize(
    ("text", "printed"),
    (
        ("photo 1.png", "photo 1.png"),
        ("日本 çé\u202f€.png", "日本 çé\u202f€.png"),  # macOS writes U+202F into the names of screenshots
        ("\x1b[31mred", r"\x1b[31mred"),
        ("two\nlines\r\t", r"two\nlines\r\t"),
        ("\x9b31m", r"\x9b31m"),  # the same escape as one character
        ("\u202egnp.exe", r"\u202egnp.exe"),  # turns round what follows
        ("caf\udce9", "caf\ufffd"),  # a byte that is no UTF-8
        ("\ud800", "\ufffd"),
    ),
)
def test_what_reaches_a_terminal(text, printed):
    assert printable(text, "utf-8") == printed


def test_a_terminal_without_these_letters():
    assert printable("é日", "latin-1") == r"é\u65e5"
    assert printable("é\udce9", "ascii") == r"\xe9\ufffd"


@pytest.mark.parametrize(
    ("text", "written"),
    (
        ("+3.38 [2.42, 4.34], leaky_relu", "+3.38 [2.42, 4.34], leaky_relu"),
        ("<img src=x onerror=run()> & |", "&lt;img src=x onerror=run()&gt; &amp; /"),
        ("[here](javascript:run) [a][b]", r"[here]\(javascript:run) [a]\[b]"),
        ("*a* **b** _c_ `d` ~e~ $f$", r"\*a\* \*\*b\*\* \_c\_ \`d\` \~e\~ \$f\$"),
        ("two\n\n# lines\r\n| a", "two # lines / a"),
        ("\\[a](b)", r"\\[a]\(b)"),
    ),
)
def test_markdown_shows_text_letter_by_letter(text, written):
    assert markdown(text) == written
