"""Badges and links for the repository's address, which stands in pyproject.toml under [project.urls]: `make badges`.

They go into README.md, the notebooks, docs/rerun.md and CITATION.cff. Without an address they are taken out.
"""

import json
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COLAB = "https://colab.research.google.com"


def address(root: Path = ROOT) -> str:
    """https://github.com/OWNER/NAME, or an empty text while the repository has no address. ValueError for another."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = project.get("urls", {}).get("Repository", "").rstrip("/").removesuffix(".git")
    if found and not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", found):
        raise ValueError(f"pyproject.toml: Repository is https://github.com/OWNER/NAME, not {found}")
    return found


def badge(text: str, picture: str, link: str) -> str:
    return f"[![{text}]({picture})]({link})"


def readme(text: str, url: str) -> str:
    owner, name = url.split("/")[-2:] if url else ("", "")
    tests = f"{url}/actions/workflows/test.yml"
    badges = [
        badge("Result of the tests", f"{tests}/badge.svg?branch=main", f"{tests}?query=branch%3Amain"),
        badge("Open a notebook in Colab", f"{COLAB}/assets/colab-badge.svg", f"{COLAB}/github/{owner}/{name}"),
        badge(
            "Open in Codespaces", "https://github.com/codespaces/badge.svg", f"https://codespaces.new/{owner}/{name}"
        ),
        f"[Read the notebooks as a site](https://{owner.lower()}.github.io/{name}/)",
    ]
    before, begin, rest = text.partition("<!-- badges -->\n")
    _, end, after = rest.partition("<!-- end of badges -->\n")
    if not end:
        raise ValueError("README.md has lost the comments between which the badges stand")
    return before + begin + "".join(f"{line}\n" for line in badges if url) + end + after


def notebook(text: str, name: str, url: str) -> str:
    """The JSON of a notebook with its badge as the second paragraph of the first cell."""
    found = json.loads(text)
    title, *rest = "".join(found["cells"][0]["source"]).split("\n\n")
    if url:
        link = (
            f"{COLAB}/{url.removeprefix('https://').replace('github.com', 'github')}/blob/main/notebooks/{name}.ipynb"
        )
        opened = badge("Open this notebook in Colab", f"{COLAB}/assets/colab-badge.svg", link)
        title += f"\n\n{opened} There, run [this cell]({url}/blob/main/docs/rerun.md#google-colab) first."
    source = "\n\n".join([title, *(part for part in rest if not part.startswith("[![Open this notebook"))])
    found["cells"][0]["source"] = source.splitlines(keepends=True)
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def citation(text: str, url: str) -> str:
    return re.sub(r"^repository-code: .*\n", "", text, flags=re.M) + (f'repository-code: "{url}"\n' if url else "")


def rerun(text: str, url: str) -> str:
    return re.sub(r"(git clone --quiet --depth 1) \S+", rf"\1 {url or 'ADDRESS'}", text)


def written(root: Path, url: str) -> dict[Path, str]:
    """Each file that shows the address, and its text with this one."""
    makers = {"README.md": readme, "CITATION.cff": citation, "docs/rerun.md": rerun}
    texts = {root / name: make((root / name).read_text(encoding="utf-8"), url) for name, make in makers.items()}
    notebooks = sorted((root / "notebooks").glob("[0-9]*.ipynb"))
    return texts | {path: notebook(path.read_text(encoding="utf-8"), path.stem, url) for path in notebooks}


if __name__ == "__main__":
    for path, text in written(ROOT, address()).items():
        temporary = path.with_name(f".{path.name}.new")  # so that no README is cut on a full disk
        temporary.write_text(text, encoding="utf-8", newline="\n")
        temporary.replace(path)
