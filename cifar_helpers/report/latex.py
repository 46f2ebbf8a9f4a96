"""Text in LaTeX."""

import re
import unicodedata

GREEK = (
    "αalpha βbeta γgamma δdelta εepsilon ζzeta ηeta θtheta ιiota κkappa λlambda μmu νnu ξxi πpi ρrho σsigma τtau "
    "υupsilon φphi χchi ψpsi ωomega ΓGamma ΔDelta ΘTheta ΛLambda ΞXi ΠPi ΣSigma ΥUpsilon ΦPhi ΨPsi ΩOmega"
)
SYMBOLS = "≤le ≥ge ≈approx ≠ne ∞infty →to ←gets ∈in ∑sum ∂partial √surd"
SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: "\\" + character for character in "&%$#_{}"},
    **{pair[0]: rf"$\{pair[1:]}$" for pair in f"{GREEK} {SYMBOLS}".split()},
    "−": "$-$",
}
FONT = {  # what the report's font has beside ASCII: Latin-1, Latin Extended-A, some signs
    *(set(map(chr, range(0xA1, 0x17F))) - set("ĦħĸĿŀŉŦŧ")),
    *"‘’“”‚„–—…•†‡‰€™",
}
# Letters that LaTeX draws as one (-- as a dash, << as a quotation mark), and what a line of a table may not begin with.
JOINED = re.compile(r"(?<=[-<>,'`!?])(?=[-<>,'`])|^(?=[\[*])")
NEGATIVE = re.compile(r"(?<![^\s\[({])-(?=\d)")  # a hyphen before a number and behind nothing, a space or a bracket


def escape(text: str) -> str:
    """The text as LaTeX shows it letter by letter: nothing in it is a command, and every character compiles.

    What the font does not have is written by its number, `U+4E2D`.
    """
    return JOINED.sub("{}", "".join(map(_escaped, unicodedata.normalize("NFC", text))))


def minus(text: str) -> str:
    """LaTeX's text with a minus sign in the place of the hyphen before each negative number."""
    return NEGATIVE.sub("$-$", text)


def _escaped(character: str) -> str:
    if character in SPECIAL:
        return SPECIAL[character]
    if character.isspace():
        return " "
    return character if " " <= character <= "~" or character in FONT else f"U+{ord(character):04X}"
