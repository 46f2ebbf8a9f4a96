"""The notebooks as a student uses them: JupyterLab in a browser, all cells run, each control moved (make test-lab)."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator

import nbformat
import pytest
from browser import SCREENSHOTS, chromium
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from cifar_helpers.core import paths

pytestmark = pytest.mark.lab
NOTEBOOKS = sorted((paths.ROOT / "notebooks").glob("*.ipynb"))
SHOWN = """cell => [...cell.querySelectorAll(".jp-OutputArea-output img, .jp-RenderedHTMLCommon, .jp-RenderedText")]
           .map(part => part.src || part.innerHTML).join()"""
CONTROL = ".widget-vbox > .jupyter-widgets:not(.widget-output)"
SECOND = 1000  # the browser counts milliseconds
BAR = """
import time
from cifar_helpers.core.progress import bar
with bar(30, "thirty steps", unit="step") as progress:
    for _ in range(30):
        time.sleep(0.1)
        progress.update()
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """JupyterLab as `make lab` starts it, on a copy of the notebooks, since it saves what it runs."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(paths.ROOT / "notebooks", folder / "notebooks")
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    nbformat.write(new_notebook(cells=[new_code_cell(BAR)], metadata=kernel), folder / "notebooks/bar.ipynb")
    settings = json.loads((paths.ROOT / "site/lab/overrides.json").read_text())
    # all cells are in the page, not only those in sight
    settings["@jupyterlab/notebook-extension:tracker"] = {"windowingMode": "none"}
    (folder / "settings").mkdir()
    (folder / "settings/overrides.json").write_text(json.dumps(settings))
    would_run = subprocess.run(["make", "-n", "lab"], cwd=paths.ROOT, capture_output=True, text=True, check=True).stdout
    command = re.search(r"^jupyter (lab .*)", would_run, re.MULTILINE)[1].split()
    command = [part.replace("site/lab", str(folder / "settings")) for part in command]
    own = {"JUPYTER_CONFIG_DIR": "config", "JUPYTERLAB_SETTINGS_DIR": "user", "JUPYTER_RUNTIME_DIR": "runtime"}
    environment = os.environ | {name: str(folder / path) for name, path in own.items()}
    environment |= {"CIFAR_PROFILE": "smoke", "PYTHONPATH": str(paths.ROOT)}
    options = ["--no-browser", "--port=0", "--IdentityProvider.token="]
    log = folder / "server.log"  # a file: a pipe that nobody reads stops the server and its kernels when it is full
    with log.open("w") as errors_of_server:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyter", *command, *options], cwd=folder, env=environment, stderr=errors_of_server
        )
    try:
        deadline = time.monotonic() + 120
        while not (found := re.search(r"http://(?:localhost|127\.0\.0\.1):\d+/", log.read_text())):
            assert server.poll() is None and time.monotonic() < deadline, f"no JupyterLab: {log.read_text()}"
            time.sleep(0.5)
        yield found[0]
    finally:
        server.terminate()
        server.wait(30)


def open_lab(page, address: str, path: str) -> None:
    page.goto(f"{address}lab/tree/notebooks/{path}?reset")
    page.wait_for_selector("#jp-main-dock-panel .jp-Document")


def idle(page) -> None:
    """Until a kernel answers and has nothing to do."""
    page.wait_for_selector(".jp-StatusBar-TextItem:has-text('| Idle')")


def start(page) -> None:
    """All cells, by the menu, as a student does."""
    idle(page)
    page.click(".lm-MenuBar-itemLabel:text-is('Run')")
    page.click(".lm-Menu-itemLabel:text-is('Run All Cells')")
    page.wait_for_selector(".jp-InputPrompt:text-is('[*]:')")


def wait(page) -> None:
    """Until no cell is running or waiting any more."""
    page.wait_for_selector(".jp-InputPrompt:text-is('[*]:')", state="detached", timeout=1200 * SECOND)


def save(page) -> None:
    page.keyboard.press("Control+s")
    page.wait_for_selector(".jp-mod-dirty, .jp-Document.jp-mod-dirty", state="detached")


def errors(page) -> list[str]:
    shown = page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error'], .jp-Dialog")
    return shown.all_inner_texts()


def shut_down(page) -> None:
    """All kernels, so that ten notebooks do not need the memory of ten."""
    page.evaluate(
        """async () => {
            const headers = {"X-XSRFToken": document.cookie.match(/_xsrf=([^;]*)/)?.[1] ?? ""};
            for (const session of await (await fetch("/api/sessions")).json())
                await fetch("/api/sessions/" + session.id, {method: "DELETE", headers});
        }"""
    )


def picture() -> dict:
    """A picture of one's own, as a browser uploads it."""
    file = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").save(file, "PNG")
    return {"name": "gradient.png", "mimeType": "image/png", "buffer": file.getvalue()}


def move(page, control) -> None:
    """Another value: all entries but the last (or all), the entry before, the next steps, the other state."""
    if control.locator("select[multiple]").count():
        count = control.locator("option").count()
        some = max(1, count - 1)
        already = control.locator("select").evaluate("list => list.selectedOptions.length") == some
        control.locator("select").select_option(index=list(range(count if already else some)))
    elif control.locator("select").count():
        chosen, count = control.locator("select").evaluate("list => [list.selectedIndex, list.options.length]")
        assert chosen >= 0, "no entry is chosen: the menu looks empty"
        control.locator("select").select_option(index=(chosen - 1) % count)
    elif control.locator(".noUi-handle").count():
        handle = control.locator(".noUi-handle")
        at_end = handle.get_attribute("aria-valuenow") == handle.get_attribute("aria-valuemax")
        for _ in range(3):
            handle.press("ArrowLeft" if at_end else "ArrowRight")
    elif control.locator("input[type=checkbox]").count():
        control.locator("input").click()
    else:
        with page.expect_file_chooser() as chooser:
            control.click()
        chooser.value.set_files(picture())


def test_start_page_links_the_notebooks_in_order(address):
    with chromium(viewport={"width": 1400, "height": 900}) as page:
        page.goto(address)
        page.wait_for_selector(".jp-RenderedMarkdown h1:has-text('Course plan')")
        assert page.locator(".jp-RenderedMarkdown td a").all_inner_texts() == [path.stem for path in NOTEBOOKS]
        page.click(f".jp-RenderedMarkdown a:has-text('{NOTEBOOKS[0].stem}')")
        page.wait_for_selector(".jp-Notebook h1:has-text('The data')")
        shut_down(page)


def check_controls(page, one: bool = False) -> None:
    """Each control, or one of each cell, is set to another value, and the picture of its cell becomes another."""
    cells = page.locator(".jp-CodeCell:has(.widget-vbox)")
    assert cells.count() >= 1
    for cell in cells.all():
        all_of_cell = cell.locator(CONTROL).all()
        for control in all_of_cell[-2:][:1] if one else all_of_cell:  # an upload hides the effect of the first
            idle(page)  # the last control's picture is there: it is not taken for this one's
            before = cell.evaluate(SHOWN)
            move(page, control)
            page.wait_for_function(f"([e, before]) => ({SHOWN})(e) !== before", arg=[cell.element_handle(), before])
            assert errors(page) == []
        assert cell.locator("img >> visible=true").count() <= 1  # the stored picture is hidden
    idle(page)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_and_each_control_changes_its_picture(address, path):
    """Also after the page is loaded again; and the saved notebook shows its pictures without its kernel."""
    with chromium(viewport={"width": 1400, "height": 900}) as page:
        open_lab(page, address, path.name)
        start(page)
        wait(page)
        assert errors(page) == []
        check_controls(page)
        page.screenshot(path=SCREENSHOTS / f"{path.stem}.png")
        save(page)
        page.reload()
        page.locator(CONTROL).first.wait_for()
        check_controls(page, one=True)
        save(page)
        shut_down(page)
        open_lab(page, address, path.name)
        idle(page)
        cells = page.locator(".jp-CodeCell:has(.jp-InputArea:has-text('controls.play'))")
        assert cells.count() >= 1
        for cell in cells.all():  # the stored picture, and no error in the place of the controls
            cell.locator(".jupyter-widgets").first.wait_for(state="attached")  # the error, which is hidden
            assert cell.locator("img >> visible=true").count() == 1
            assert "Run All Cells" in cell.locator(".jp-OutputArea").first.inner_text()
            assert "Error" not in cell.locator(".jp-OutputArea").first.inner_text()
            cell.scroll_into_view_if_needed()
        page.screenshot(path=SCREENSHOTS / f"{path.stem}_opened_again.png")
        shut_down(page)


def test_progress_bar_moves_and_leaves_nothing_behind(address):
    with chromium(viewport={"width": 1400, "height": 900}) as page:
        open_lab(page, address, "bar.ipynb")
        bar = page.locator(".jp-OutputArea .widget-hprogress, .jp-OutputArea progress")
        start(page)
        bar.wait_for()
        assert "steps" in page.locator(".jp-OutputArea").inner_text()
        page.wait_for_function(r"/[1-9]\d*\/30/.test(document.querySelector('.jp-OutputArea').innerText)")
        page.screenshot(path=SCREENSHOTS / "bar.png")
        wait(page)
        bar.wait_for(state="hidden")
        assert page.locator(".jp-OutputArea").inner_text().strip() == "" and errors(page) == []
        shut_down(page)
