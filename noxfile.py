"""Every check of this project: ``nox`` runs those that a change must pass, ``nox --list`` shows all.

The Pythons are listed once, in pyproject.toml; those that this machine has are used.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.download_python = "never"
# In CI nox would fail for want of a Python; a session that cannot run is said, at its place and in the summary.
nox.options.error_on_missing_interpreters = False
nox.options.error_on_external_run = True
nox.options.reuse_venv = "yes"
nox.options.stop_on_first_error = False
# The tests come last, so that their result is what one reads last.
nox.options.sessions = ["servers", "lint", "types", "docs", "bare", "floor", "tests"]

PYTHONS = nox.project.python_versions(nox.project.load_toml())
FREE_THREADED = os.environ.get("FREETHREADED_PYTHON", "3.13t")
IN_CI = os.environ.get("CI", "").lower() == "true"

SERVERS = {
    "initdb": "postgresql",
    "postgres": "postgresql",
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "prometheus-pushgateway": "prometheus-pushgateway",
}
"""The programs that the tests start, and the Debian packages that hold them."""

AUTOMETRICS = "autometrics==1.0.0"
"""A peer to install without what it pins, an exporter and a client of 2023: it runs with those of today."""

SIDE_BY_SIDE = (f"--numprocesses={max(4, os.cpu_count() or 1)}", "--dist=worksteal")
"""Tests run on all CPUs, and more at a time than a small machine has, since many wait for servers of their own."""

APT_LINE = (
    "apt-get install -y --no-install-recommends postgresql prometheus prometheus-alertmanager prometheus-pushgateway"
)

EXTRAS = "fastapi,grafana,otlp,postgres"
"""The extras that the tests need."""

KEEP_URLLIB3 = ("--no-binary", "urllib3-future")
"""With URLLIB3_NO_OVERRIDE it keeps grafana-client's urllib3-future from taking the place of urllib3."""


def put_pyenv_first() -> None:
    """Let the Pythons that pyenv keeps be found: its shims answer only for the one that is switched on."""
    versions = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    kept = [path / "bin" for python in PYTHONS for path in sorted(versions.glob(f"{python}.*"), reverse=True)]
    os.environ["PATH"] = os.pathsep.join([*map(str, kept), os.environ["PATH"]])


put_pyenv_first()


def is_missing(program: str) -> bool:
    """Tell whether a program is not here; Debian keeps PostgreSQL's in a folder for each version."""
    return shutil.which(program) is None and not list(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))


@nox.session(venv_backend="none")
def servers(session: nox.Session) -> None:
    """Get the servers that the tests talk to, where that is allowed; else say how."""
    missing = [program for program in SERVERS if is_missing(program)]
    if not missing:
        return
    if shutil.which("apt-get") and (prefix := _as_root()) is not None:
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        session.run(*prefix, "apt-get", "update", env=quiet, external=True)
        session.run(*prefix, *APT_LINE.split(), env=quiet, external=True)
        return
    message = f"{', '.join(missing)} not found; tests that need it fail until you run:  sudo {APT_LINE}"
    if IN_CI:
        session.error(message)
    session.warn(message)


def _as_root() -> list[str] | None:
    """Return what to put before a command that root must run; None where there is no way."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo is None or subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode:
        return None
    return [sudo, "-n"]


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format and which room imports which."""
    session.install("-e", ".", "--group", "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types with both checkers."""
    session.install("-e", ".[all]", "--group", "types", "--group", "tests", "--group", "bench")
    session.install("--no-deps", AUTOMETRICS)
    session.run("mypy")
    session.run("pyright", "--pythonpath", shutil.which("python", path=session.bin) or "python")


def install_for_tests(session: nox.Session, *more: str) -> None:
    """Install the package with what its tests need."""
    groups = ("--group", "tests", "--group", "greenlets")
    session.install("-e", f".[{EXTRAS}]", *groups, *KEEP_URLLIB3, *more, env={"URLLIB3_NO_OVERRIDE": "1"})


def highest_python() -> str:
    """Return the newest of the Pythons that is here."""
    found = [python for python in PYTHONS if shutil.which(f"python{python}")]
    return max(found, key=lambda python: int(python.split(".")[1]), default=PYTHONS[-1])


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests; what is behind ``--`` goes to pytest."""
    install_for_tests(session)
    # What starts real servers or takes long says little about one Python that it does not say about another.
    chosen = () if session.python == highest_python() else ("-m", "not programs and not heavy")
    session.run("pytest", *SIDE_BY_SIDE, *chosen, *session.posargs)


@nox.session
def bare(session: nox.Session) -> None:
    """Test what is there without any extra, as a user gets it: from a wheel."""
    session.install(".", "pytest>=9", "pytest-asyncio")
    # Neither the checkout nor the fixtures of the other tests, which need more, may be seen.
    session.run("pytest", "-o", "pythonpath=", "--confcutdir=tests/bare", "tests/bare", *session.posargs)


@nox.session
def floor(session: nox.Session) -> None:
    """Run the tests with the lowest versions that pyproject.toml allows."""
    lowest = Path(session.create_tmp()) / "lowest.txt"
    session.install("uv")
    extras = [part for extra in EXTRAS.split(",") for part in ("--extra", extra)]
    session.run(
        *("uv", "pip", "compile", "--quiet", "pyproject.toml", *extras),
        *("--resolution", "lowest-direct", "--output-file", str(lowest)),
    )
    install_for_tests(session, "--constraint", str(lowest))
    # Peers are measured in their newest versions only.
    session.run("pytest", *SIDE_BY_SIDE, "-m", "not heavy", "--ignore=tests/test_benchmarks.py", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Check that the generated pages are those of the code, and build all pages."""
    session.install("-e", ".[all]", "--group", "docs")
    session.run("python", "docs/generate.py", "--check")
    # The theme's advertisement for what comes after it.
    quiet = {"NO_MKDOCS_2_WARNING": "1"}
    session.run("mkdocs", "build", "--strict", "--config-file", "docs/site/mkdocs.yml", env=quiet)


@nox.session
def generate(session: nox.Session) -> None:
    """Write the pages and the folder that are made from the code."""
    session.install("-e", ".[grafana]")
    session.run("python", "docs/generate.py", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure against peers; what is behind ``--`` goes to the benchmarks."""
    session.install("-e", ".[fastapi]", "--group", "bench")
    session.install("--no-deps", AUTOMETRICS, "python-dotenv")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session(python=FREE_THREADED, venv_backend="uv")
def freethreaded(session: nox.Session) -> None:
    """Run the thread tests and their benchmark without the GIL; FREETHREADED_PYTHON names the interpreter."""
    _mend_layout(session)
    # Some libraries' newest versions have nothing built for it: then the newest that has is taken.
    needed = ("-r", "pyproject.toml", "--extra", "fastapi", "--group", "bench", "--group", "tests")
    session.install(*needed, "--only-binary", ":all:")
    session.install("--no-deps", "--no-build-isolation", ".")
    session.install("--no-deps", AUTOMETRICS, "python-dotenv")
    marked = [str(path) for path in sorted(Path("tests").glob("test_*.py")) if "mark.threads" in path.read_text()]
    # A module that does not say it can do without would switch the GIL on again.
    without_gil = {"PYTHON_GIL": "0"}
    session.run("pytest", "-m", "threads", *marked, *session.posargs, env=without_gil)
    session.run("python", "-m", "benchmarks", "--only", "threads", env=without_gil)


def _mend_layout(session: nox.Session) -> None:
    """Let an interpreter built from Debian's source find what is installed beside it.

    Debian's site.py looks into lib/python3.13, while packages go to lib/python3.13t.  An environment
    made for a build has the same flaw, hence what the build needs is installed here.
    """
    for packages in Path(session.virtualenv.location).glob("lib/python3.*t"):
        expected = packages.with_name(packages.name.removesuffix("t"))
        if not expected.exists():
            expected.symlink_to(packages.name)
    session.install("hatchling")
