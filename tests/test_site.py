"""The site of `make html`: built from the stored outputs, then read as a reader and as a browser does."""

import functools
import http.server
import json
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from browser import chromium

from cifar_helpers.core import paths

pytestmark = pytest.mark.xdist_group("site")  # built once
BADGES = re.compile(r"https://(github\.com/.*/badge\.svg(\?.*)?|colab\.research\.google\.com/assets/colab-badge\.svg)")
NOTEBOOKS = sorted(path.stem for path in (paths.ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-c", "site", "-d", folder / "cache", ".", folder / "html"]
    built = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return folder / "html"


class Page(HTMLParser):
    """What a page links, shows and names."""

    def __init__(self, path: Path):
        super().__init__()
        self.links, self.pictures, self.names, self.elements = [], [], set(), Counter()
        self.feed(path.read_text())

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.elements[tag] += 1
        self.names.add(given.get("id"))
        if tag == "img":
            self.pictures.append(given)
        if tag in ("a", "link") and given.get("href"):
            self.links.append(given["href"])
        if tag in ("img", "script") and given.get("src"):
            self.links.append(given["src"])


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Page]:
    return {path.resolve(): Page(path) for path in site.rglob("*.html")}


def test_every_notebook_is_a_page_with_its_pictures_and_formulas(site, pages):
    for name in NOTEBOOKS:
        page, stored = pages[(site / "notebooks" / f"{name}.html").resolve()], (paths.ROOT / "notebooks" / name)
        assert page.elements["img"] >= stored.with_suffix(".ipynb").read_text().count('"image/png"'), name
        assert not any(link.startswith("http") for link in page.links if link.endswith((".js", ".css"))), name
    assert sum(page.elements["math"] for page in pages.values()) > 100
    assert sum(page.elements["table"] for page in pages.values()) > len(NOTEBOOKS)
    assert sum(page.elements["img"] for page in pages.values()) > 3 * len(NOTEBOOKS)


def test_no_link_is_broken(site, pages):
    broken = []
    for path, page in pages.items():
        for link in page.links:
            url = urlsplit(link)
            if url.scheme or link.startswith("data:"):
                continue
            target = (path.parent / unquote(url.path)).resolve() if url.path else path
            if (
                not target.exists()
                or url.fragment
                and target in pages
                and unquote(url.fragment) not in pages[target].names
            ):
                broken.append((path.name, link))
    assert not broken


def test_notebooks_link_each_other(site, pages):
    for before, after in zip(NOTEBOOKS, NOTEBOOKS[1:]):
        links = pages[(site / "notebooks" / f"{before}.html").resolve()].links
        linked = any(link.split("#")[0] == f"{after}.html" for link in links)
        assert linked, f"the last cell of {before}.ipynb has no link to {after}.ipynb"
    start = pages[(site / "notebooks" / "README.html").resolve()].links
    assert {f"{name}.html" for name in NOTEBOOKS} <= set(start), "a notebook has no line in notebooks/README.md"


def test_every_picture_is_described(pages):
    for path, page in pages.items():
        for picture in page.pictures:
            text = picture.get("alt") or ""
            assert len(text) > 15 and "_images" not in text, (path.name, picture)


@pytest.fixture(scope="module")
def address(site) -> Iterator[str]:
    """The site as a web server shows it: the search reads its index over HTTP only."""
    handler = functools.partial(QuietHandler, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def luminance(rgb: str) -> float:
    """Relative luminance (WCAG 2) of a browser's rgb(...) text."""
    parts = [float(part) / 255 for part in rgb[rgb.index("(") + 1 : -1].split(",")[:3]]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme, width", [("light", 1280), ("dark", 1280), ("dark", 390)])
def test_in_a_browser(site, address, scheme, width):
    """No error in the console, nothing wider than the window, text readable, the search finds a word."""
    with chromium(viewport={"width": width, "height": 844}, color_scheme=scheme) as page:
        said = []
        badge = '<svg xmlns="http://www.w3.org/2000/svg" width="100" height="20"/>'  # theirs come from the network
        page.route(BADGES, lambda route: route.fulfill(content_type="image/svg+xml", body=badge))
        page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        for path in [site / "README.html", *sorted((site / "notebooks").glob("*.html"))]:
            page.goto(f"{address}/{path.relative_to(site).as_posix()}")
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path.name
            loaded = "[...document.images].every(image => image.loading === 'lazy' || image.naturalWidth > 0)"
            assert page.evaluate(loaded), path.name
            colours = page.evaluate(
                """() => [...document.querySelectorAll('article p, article td, article th, article math')].map(e => {
                    let below = e;
                    while (below && /rgba\\(0, 0, 0, 0\\)|transparent/.test(getComputedStyle(below).backgroundColor))
                        below = below.parentElement;
                    return [getComputedStyle(e).color, getComputedStyle(below || document.body).backgroundColor,
                            e.textContent.slice(0, 30)]})"""
            )
            for text, ground, words in colours:
                low, high = sorted((luminance(text), luminance(ground)))
                assert (high + 0.05) / (low + 0.05) >= 4.5, (path.name, words, text, ground)  # WCAG 2's level AA
        page.goto(f"{address}/search.html?q=Adadelta")
        page.wait_for_selector("#search-results li a")
        assert said == []


@pytest.mark.parametrize("words", ["which optimizer is best", "best optimizer"])
def test_search_answers_a_question(address, words):
    with chromium() as page:
        page.goto(f"{address}/search.html?q={words.replace(' ', '+')}")
        page.wait_for_selector("#search-results li a")
        assert "05_optimizers" in page.locator("#search-results li a").first.get_attribute("href")


@pytest.mark.parametrize("width", [390, 1280])
def test_tables_are_readable(site, address, width):
    """Cells do not touch, lines part the rows, and on a phone no long text stands in a narrow column."""
    with chromium(viewport={"width": width, "height": 844}) as page:
        for path in [site / "README.html", *sorted((site / "notebooks").glob("[0-9]*.html"))]:
            page.goto(f"{address}/{path.relative_to(site).as_posix()}")
            cells = page.evaluate(
                """() => [...document.querySelectorAll('article td:not(:has(math))')].map(e => [
                    e.textContent.trim(), e.offsetWidth, parseFloat(getComputedStyle(e).paddingLeft),
                    [e, e.parentElement].some(part => parseFloat(getComputedStyle(part).borderBottomWidth) > 0)])"""
            )
            assert cells, path.name
            for text, cell_width, padding, line in cells:
                assert padding >= 4, (path.name, text)
                assert line or path.name == "README.html", (path.name, text)  # the theme draws no line at a table's end
                assert width > 390 or len(text) <= 40 or cell_width >= 200, (path.name, text, cell_width)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_code_that_needs_no_reading_is_folded(address, name):
    cells = json.loads((paths.ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    folded = sum("hide-input" in cell["metadata"].get("tags", []) for cell in cells)
    with chromium() as page:
        page.goto(f"{address}/notebooks/{name}.html")
        code = page.locator("details.hide pre")
        assert code.count() == folded > 0 and not any(each.is_visible() for each in code.all())
        page.locator("details.hide summary").first.click()
        assert code.first.is_visible()
