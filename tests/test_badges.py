"""The repository's address: badges and links follow it, and without one there are none."""

import json
import re
import runpy
import shutil

import pytest

from cifar_helpers.core import paths

BADGES = runpy.run_path(str(paths.ROOT / "site" / "badges.py"))
NOTEBOOKS = sorted(path.stem for path in (paths.ROOT / "notebooks").glob("[0-9]*.ipynb"))
URL = "https://github.com/Someone/networks"


@pytest.fixture
def copy(tmp_path):
    """A copy of the files that show the address."""
    for name in ("notebooks", "docs"):
        shutil.copytree(paths.ROOT / name, tmp_path / name)
    for name in ("README.md", "CITATION.cff", "pyproject.toml"):
        shutil.copy(paths.ROOT / name, tmp_path)
    return tmp_path


def write(root, url):
    for path, text in BADGES["written"](root, url).items():
        path.write_text(text, encoding="utf-8")
    return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in root.rglob("*.*")}


def badges(text):
    """Pictures and links of the badges in a Markdown text."""
    return dict(re.findall(r"\[!\[[^]]{15,}\]\((https:[^)]+)\)\]\((https:[^)]+)\)", text))


def first_cell(text):
    return "".join(json.loads(text)["cells"][0]["source"])


def test_the_committed_files_show_the_address_that_is_set():
    """After a change in pyproject.toml: make badges."""
    for path, text in BADGES["written"](paths.ROOT, BADGES["address"]()).items():
        assert path.read_text(encoding="utf-8") == text, f"make badges, for {path}"


def test_with_an_address_its_links_are_everywhere(copy):
    texts = write(copy, URL)
    shown = badges(texts["README.md"])
    tests, colab = f"{URL}/actions/workflows/test.yml", "https://colab.research.google.com"
    assert shown == {
        f"{tests}/badge.svg?branch=main": f"{tests}?query=branch%3Amain",
        f"{colab}/assets/colab-badge.svg": f"{colab}/github/Someone/networks",
        "https://github.com/codespaces/badge.svg": "https://codespaces.new/Someone/networks",
    }
    assert (paths.ROOT / ".github/workflows/test.yml").exists()
    assert "(https://someone.github.io/networks/)" in texts["README.md"]
    assert texts["CITATION.cff"].count(f'\nrepository-code: "{URL}"\n') == 1
    assert f"git clone --quiet --depth 1 {URL} cifar\n" in texts["docs/rerun.md"]
    assert "\n## Google Colab\n" in texts["docs/rerun.md"]
    assert len(NOTEBOOKS) >= 10
    for name in NOTEBOOKS:
        cell = first_cell(texts[f"notebooks/{name}.ipynb"])
        assert list(badges(cell).values()) == [
            f"https://colab.research.google.com/github/Someone/networks/blob/main/notebooks/{name}.ipynb"
        ]
        assert f"]({URL}/blob/main/docs/rerun.md#google-colab)" in cell
        assert re.match(r"# [^\n]+\n\n\[!\[", cell), "a title and then the badge"


def test_written_twice_it_is_the_same_and_another_address_replaces_it(copy):
    once = write(copy, URL)
    assert write(copy, URL) == once
    other = write(copy, "https://github.com/other/place")
    assert "Someone" not in "".join(other.values()) and other == {
        name: text.replace("Someone/networks", "other/place").replace(
            "someone.github.io/networks", "other.github.io/place"
        )
        for name, text in once.items()
    }


def test_without_an_address_nothing_is_shown(copy):
    write(copy, URL)
    texts = write(copy, "")
    assert not badges(texts["README.md"]) and "<!-- badges -->\n<!-- end of badges -->\n" in texts["README.md"]
    assert "repository-code" not in texts["CITATION.cff"]
    assert "git clone --quiet --depth 1 ADDRESS cifar\n" in texts["docs/rerun.md"]
    for name in NOTEBOOKS:
        assert not badges(texts[f"notebooks/{name}.ipynb"]) and "Colab" not in first_cell(
            texts[f"notebooks/{name}.ipynb"]
        )


def setting(copy, line):
    file = copy / "pyproject.toml"
    file.write_text(re.sub(r"^(# )?Repository = .*", line, file.read_text(), flags=re.M))
    return BADGES["address"](copy)


def test_the_address_is_the_one_setting(copy):
    assert setting(copy, f'Repository = "{URL}"') == URL
    assert setting(copy, f'Repository = "{URL}.git"') == URL
    assert setting(copy, f'Repository = "{URL}/"') == URL
    assert setting(copy, "# none") == ""
    (copy / "README.md").write_text("# Title\n")
    with pytest.raises(ValueError, match="lost the comments"):
        BADGES["written"](copy, URL)


def test_another_kind_of_address_is_refused(copy):
    with pytest.raises(ValueError, match="https://github.com/OWNER/NAME, not git@github.com:me/x"):
        setting(copy, 'Repository = "git@github.com:me/x"')
