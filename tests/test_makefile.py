"""What `make report` runs and says, in an empty project with a stand-in for Python."""

import os
import shutil
import signal
import subprocess
import time

import pytest

from cifar_helpers.core import paths

# Each call is written down; `notebook` waits as long as wait.txt is there, `pdf` makes the PDF.
PYTHON = """#!/bin/sh
echo "$OMP_NUM_THREADS $*" >> calls.txt
echo "$CIFAR_DATA" > data.txt
case "$3" in
notebook) echo $$ >> pids.txt; while [ -e wait.txt ]; do sleep 0.1; done;;
pdf) mkdir -p build/smoke/report; touch build/smoke/report/report.pdf report/report.pdf;;
esac
"""


@pytest.fixture
def project(tmp_path):
    shutil.copy(paths.ROOT / "Makefile", tmp_path)
    for file in ("notebooks/01_a.ipynb", "notebooks/02_b.ipynb", "notebooks/07_filters.ipynb", "cifar_helpers/a.py"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    (tmp_path / "notebooks/08_grad_cam.ipynb").touch()
    for file in ("report.tex", "references.bib", "original_results.json", "install_latex.sh"):
        (tmp_path / "report").mkdir(exist_ok=True)
        (tmp_path / "report" / file).write_text("#!/bin/sh\n")
        (tmp_path / "report" / file).chmod(0o755)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").write_text(PYTHON)
    (tmp_path / "bin/python").chmod(0o755)
    return tmp_path


@pytest.fixture(params=["plain", "a $b 'c' \"d\" #e %f ; é {x} (y) &z"])
def anywhere(project, tmp_path_factory, request):
    """The same in a folder of any name."""
    return project.rename(tmp_path_factory.mktemp("elsewhere") / request.param)


def environment(project):
    return os.environ | {
        "CONDA_DEFAULT_ENV": "cifar-helpers",
        "CONDA_PREFIX": str(project),
        "MAKEFLAGS": "",
        "MAKELEVEL": "0",
    }


def make(project, *arguments):
    command = ["make", "report", *arguments]
    return subprocess.run(command, cwd=project, env=environment(project), capture_output=True, text=True)


def test_what_was_made_is_summed_up_and_nothing_to_do_names_the_pdf_too(project):
    done = make(project, "PROFILE=smoke")
    assert done.returncode == 0 and done.stderr == ""
    lines = done.stdout.splitlines()
    assert sorted(line for line in lines if line.startswith("notebook ")) == sorted(
        f"notebook {number} of 4: {name}"
        for number, name in enumerate(("08_grad_cam", "07_filters", "01_a", "02_b"), 1)
    )
    where = "the PDF: build/smoke/report/report.pdf; the notebooks: build/smoke/notebooks/"
    assert lines[-2:] == ["made: 08_grad_cam 07_filters 01_a 02_b the PDF", where]
    assert not any("python" in line for line in lines)  # no recipe
    assert make(project, "PROFILE=smoke").stdout.splitlines() == ["made: nothing; all was there", where]
    time.sleep(0.01)
    (project / "notebooks/01_a.ipynb").touch()
    assert "made: 01_a the PDF" in make(project, "PROFILE=smoke").stdout


def test_without_latex_the_pdf_of_before_is_not_called_new(project):
    make(project, "PROFILE=smoke")
    (project / "report/install_latex.sh").write_text("#!/bin/sh\necho no apt\nexit 1\n")
    time.sleep(0.01)
    (project / "notebooks/01_a.ipynb").touch()
    done = make(project, "PROFILE=smoke")
    assert done.returncode == 0 and done.stderr == "no apt\n"
    told, made, where = done.stdout.splitlines()[-3:]
    assert told.startswith("No PDF, all else is done: install latexmk ") and told.endswith("run make report again")
    assert made == "made: 01_a" and where.startswith("the PDF: not made;")


def test_a_record_that_is_added_or_removed_is_shown(project):
    runs = project / "runs"
    record = runs / "fast" / "fast_cnn-12345678"
    (runs / "table_1").mkdir(parents=True)
    (project / "report/report.pdf").touch()
    make(project, "PROFILE=full")
    for change in ((record.mkdir, {"parents": True}), (record.rmdir, {})):
        assert "made: nothing" in make(project, "PROFILE=full").stdout
        time.sleep(0.01)
        change[0](**change[1])
        assert "made: 08_grad_cam 07_filters 01_a 02_b" in make(project, "PROFILE=full").stdout
    (runs / "index.csv").touch()  # which the PDF's command writes, and a record's file, which a notebook may add
    assert "made: nothing" in make(project, "PROFILE=full").stdout


@pytest.mark.parametrize(
    "profile",
    ("smoke ", "smoke quick", "%", "", "huge", "|smoke|", "smoke| |quick", "smoke|\t|quick", "$(shell touch ran)"),
)
def test_a_profile_that_is_none_is_refused(project, profile):
    done = make(project, f"PROFILE={profile}")
    assert done.returncode == 2 and f'PROFILE="{profile}": choose from smoke, quick, full' in done.stderr
    assert not (project / "build").exists() and not (project / "ran").exists()


@pytest.mark.parametrize(
    "workers",
    ("1;touch ran", "$(shell touch ran)", "1| |touch ran", "`touch ran`", "2 --device cuda", "0", "-1", "", "1e3"),
)
def test_workers_are_a_number_and_no_command(project, monkeypatch, workers):
    for arguments in ((f"WORKERS={workers}",), ()):  # by an argument, or by the environment
        done = make(project, "PROFILE=smoke", *arguments)
        assert done.returncode == 2 and f'WORKERS="{workers}": a whole number from 1 to 999' in done.stderr
        assert not (project / "build").exists() and not (project / "ran").exists()
        monkeypatch.setenv("WORKERS", workers)


def test_the_number_of_workers_that_is_asked_for(project):
    assert make(project, "PROFILE=smoke", "WORKERS=3").returncode == 0
    assert "train --profile smoke --workers 3\n" in (project / "calls.txt").read_text()


@pytest.mark.parametrize("folder", ["/a $x $(shell touch ran) #b", "a $x 'b'", "~/a b"])
def test_names_of_folders_are_no_commands(anywhere, monkeypatch, folder):
    monkeypatch.setenv("CIFAR_DATA", folder)
    done = make(anywhere, "PROFILE=smoke")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    given = (anywhere / "data.txt").read_text().removesuffix("\n")
    assert given == (folder if folder[0] in "/~" else f"{anywhere}/{folder}")
    assert (anywhere / "build/smoke/report/report.pdf").exists() and not (anywhere / "ran").exists()


def test_no_notebook_goes_on_when_make_is_killed(project):
    (project / "wait.txt").touch()
    process = subprocess.Popen(["make", "report", "PROFILE=smoke"], cwd=project, env=environment(project))
    try:
        end = time.monotonic() + 60
        while not (project / "pids.txt").exists() or len((project / "pids.txt").read_text().split()) < 2:
            assert time.monotonic() < end
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        time.sleep(0.5)
        alive = [pid for pid in (project / "pids.txt").read_text().split() if os.path.exists(f"/proc/{pid}")]
        assert alive == []
    finally:
        (project / "wait.txt").unlink()
        process.kill()
