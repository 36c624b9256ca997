"""``otel-monitoring run``: programs of all kinds, instrumented without a changed line."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import venv
from typing import TYPE_CHECKING

import pytest

from tests.servers import ask, check_metrics, wait_until
from tests.zero_code_programs import (
    COMMAND,
    ENDS_WITHIN_SECONDS,
    GUNICORN,
    PROGRAMS,
    SERVED,
    UVICORN,
    Running,
    clean_environment,
    run_to_end,
    running,
    samples,
    total,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers import PushgatewayServer

pytestmark = pytest.mark.programs

CHECKLIST = "otel-monitoring: service "

FASTAPI = """
from fastapi import FastAPI
app = FastAPI()

@app.get("/items/{number}")
def item(number: int) -> dict[str, int]:
    return {"number": 10 // number}
"""

WAITS = """
import signal, sys
print("ready", sys.argv[1:])
signal.pause()
"""


def write(folder: Path, name: str, text: str) -> str:
    """Write a file and return its name."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return name


def requests_of(urls: list[str]) -> float:
    """Return how many requests that went well these pages have counted."""
    return total(urls, "http_requests_total", status="2xx")


def pages_of_workers(program: Running, workers: int) -> list[str]:
    """Return the pages of the workers that were started last."""
    return re.findall(rf"worker \d+: {SERVED}", program.said)[-workers:]


def answers(url: str) -> bool:
    """Tell whether anybody listens there."""
    try:
        ask(url)
    except OSError:
        return False
    return True


def all_are_counted(program: Running, url: str, workers: int) -> bool:
    """Ask for ten items, and tell whether the workers' pages show ten more; not where a worker is being replaced.

    That is what uvicorn does with one that has not answered it for five seconds, as on a busy machine.
    """
    pages = pages_of_workers(program, workers)
    try:
        before = requests_of(pages)
        statuses = {ask(f"{url}/items/1").status for _ in range(10)}
        return statuses == {200} and requests_of(pages) == before + 10
    except OSError:
        return False


# What is started


def test_a_script_keeps_its_arguments_its_output_and_its_exit_code(tmp_path: Path) -> None:
    """What the program prints and ends with is its own; the checklist goes to standard error."""
    script = write(tmp_path, "script.py", "import sys; print(sys.argv[1:]); sys.exit(7)")
    done = run_to_end(sys.executable, script, "--port", "1", "-x", options=("--port", "0"), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (7, "['--port', '1', '-x']\n")
    assert done.stderr.count(CHECKLIST) == 1
    assert re.search(SERVED, done.stderr)


def test_a_script_is_measured_while_it_runs(tmp_path: Path) -> None:
    """Its page shows the process and the calls of its HTTP clients, and nothing that promtool finds fault with."""
    script = write(
        tmp_path,
        "script.py",
        """
import http.server, signal, threading
import httpx, requests, urllib3

class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("X-RateLimit-Remaining", "41")
        self.send_header("Content-Length", "0")
        self.end_headers()

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/"
requests.get(url); httpx.get(url); urllib3.request("GET", url)
print("ready")
signal.pause()
""",
    )
    with running(tmp_path, sys.executable, script, OTEL_SERVICE_NAME="mailer") as program:
        [url] = program.wait_for(SERVED)
        program.wait_for("ready")
        assert total([url], "api_requests_total", platform="127.0.0.1", outcome="success") == 3
        assert [sample.value for sample in samples(url, "rate_limit_remaining")] == [41]
        assert samples(url, "memory_usage_bytes")[0].labels == {"component": "mailer"}
        assert check_metrics(ask(url).body) == []


def test_a_module_is_run_as_python_does(tmp_path: Path) -> None:
    """``python -m`` finds the module, and its arguments are its own."""
    write(tmp_path, "job/__main__.py", "import sys; print(sys.argv[1:]); raise SystemExit(3)")
    done = run_to_end(sys.executable, "-m", "job", "-v", options=("--port", "0"), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, "['-v']\n")


def test_a_uvicorn_application_is_measured(tmp_path: Path) -> None:
    """FastAPI's requests are counted by template, its errors once, and Ctrl-C ends it as it does without us."""
    write(tmp_path, "app.py", FASTAPI)
    with running(tmp_path, str(PROGRAMS / "uvicorn"), "app:app", "--port", "0") as program:
        [page] = program.wait_for(SERVED)
        [url] = program.wait_for(UVICORN)
        answers = [ask(f"{url}/items/{number}").status for number in (1, 2, 0, 5)]
        assert answers == [200, 200, 500, 200]
        wait_until(lambda: total([page], "http_requests_total") == 4)
        assert requests_of([page]) == 3
        assert total([page], "request_duration_seconds_count") == 4
        assert total([page], "system_errors_total", error_type="ZeroDivisionError") == 1
        assert total([page], "system_errors_total") == 1
        assert ask(f"{url}/items/1").status == 200
        # FastAPI and OpenTelemetry measure nothing that we measure, by whatever name.
        assert "http_server" not in ask(page).body.decode()
        ended = program.stop()
        assert "Traceback" not in program.said.partition("Shutting down")[2]
    with Running(tmp_path, (str(PROGRAMS / "uvicorn"), "app:app", "--port", "0")) as bare:
        bare.wait_for(UVICORN)
        assert bare.stop() == ended


@pytest.mark.parametrize("option", ["--workers=2", "--reload"])
def test_the_workers_of_uvicorn_serve_in_place_of_their_supervisor(tmp_path: Path, option: str) -> None:
    """Each worker says where its page is, and together they have counted all."""
    workers = 2 if "workers" in option else 1
    write(tmp_path, "app.py", FASTAPI)
    with running(tmp_path, str(PROGRAMS / "uvicorn"), "app:app", "--port", "0", option) as program:
        program.wait_for(rf"worker \d+: {SERVED}", times=workers)
        [url] = program.wait_for(UVICORN)
        program.wait_for("Application startup complete", times=workers)
        wait_until(lambda: all_are_counted(program, url, workers), ENDS_WITHIN_SECONDS)
        [supervisor] = re.findall(f"service .*{SERVED}", program.said)
        assert supervisor in pages_of_workers(program, workers) or not answers(supervisor)
        assert program.said.count(CHECKLIST) == 1


def test_the_workers_of_gunicorn_serve_on_ports_of_their_own(tmp_path: Path) -> None:
    """Forked workers take the first free port each, from that of the settings on."""
    write(tmp_path, "app.py", FLASK)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = (str(PROGRAMS / "gunicorn"), "-w", "2", "-b", "127.0.0.1:0", "app:app")
    with running(tmp_path, *command, options=("--port", str(port))) as program:
        pages = program.wait_for(rf"worker \d+: {SERVED}", times=2)
        ports = {int(page.split(":")[2].removesuffix("/metrics")) for page in pages}
        assert len(ports) == 2
        assert ports <= set(range(port, port + 100))
        [url] = program.wait_for(GUNICORN)
        for _ in range(10):
            assert ask(f"{url}/items/1").status == 200
        assert requests_of(pages) == 10
        assert program.stop(signal.SIGTERM) == 0


FLASK = """
from flask import Flask
app = Flask(__name__)

@app.get("/items/<int:number>")
def item(number):
    return {"number": 10 // number}
"""

DJANGO = """
import sys
from django.conf import settings
from django.http import JsonResponse
from django.urls import path

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, LOGGING_CONFIG=None)

def item(request, number):
    return JsonResponse({"number": 10 // number})

urlpatterns = [path("items/<int:number>", item)]
"""

DJANGO_WSGI = f"{DJANGO}\nfrom django.core.wsgi import get_wsgi_application\napp = get_wsgi_application()\n"
DJANGO_ASGI = f"{DJANGO}\nfrom django.core.asgi import get_asgi_application\napp = get_asgi_application()\n"

WSGI = """
def app(environ, start_response):
    number = 10 // int(environ["PATH_INFO"].rpartition("/")[2])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(number).encode()]
"""

ASGI = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    number = 10 // int(scope["path"].rpartition("/")[2])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(number).encode()})
"""

STARLETTE = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

async def item(request):
    return PlainTextResponse(str(10 // int(request.path_params["number"])))

app = Starlette(routes=[Mount("/items", app=Starlette(routes=[Route("/{number}", item)]))])
"""

WRAPPED = f"""{FASTAPI}
class Other:
    def __init__(self, other_application):
        self.other_application = other_application

    async def __call__(self, *request):
        await self.other_application(*request)

def around(inner):
    async def handed_on(scope, receive, send):
        await inner(scope, receive, send)
    return handed_on

app = around(Other(app))
"""

KINDS = {
    "flask": (FLASK, "/items/<int:number>"),
    "django_wsgi": (DJANGO_WSGI, "/items/<int:number>"),
    "django_asgi": (DJANGO_ASGI, "/items/<int:number>"),
    "starlette": (STARLETTE, "/items/{number}"),
    "wrapped": (WRAPPED, "/items/{number}"),
    "wsgi": (WSGI, "/*"),
    "asgi": (ASGI, "/*"),
}


def check_application(page: str, url: str, endpoint: str) -> None:
    """Ask an application for two items and for one that it fails at; all are counted once, under that endpoint."""
    assert [ask(f"{url}/items/{number}").status for number in (1, 2, 0)] == [200, 200, 500]
    wait_until(lambda: total([page], "http_requests_total") == 3)
    assert total([page], "http_requests_total", endpoint=endpoint, status="2xx") == 2
    assert total([page], "request_duration_seconds_count", endpoint=endpoint) == 3
    assert total([page], "system_errors_total", error_type="ZeroDivisionError") == 1
    assert total([page], "system_errors_total") == 1


@pytest.mark.parametrize("kind", ["flask", "django_wsgi", "wsgi"])
def test_applications_of_all_kinds_are_measured_under_gunicorn(tmp_path: Path, kind: str) -> None:
    """The worker that gunicorn forks measures what it serves."""
    application, endpoint = KINDS[kind]
    write(tmp_path, "app.py", application)
    with running(tmp_path, str(PROGRAMS / "gunicorn"), "-b", "127.0.0.1:0", "app:app") as program:
        [page] = program.wait_for(rf"worker \d+: {SERVED}")
        [url] = program.wait_for(GUNICORN)
        check_application(page, url, endpoint)


@pytest.mark.parametrize("kind", ["django_asgi", "starlette", "wrapped", "asgi"])
def test_applications_of_all_kinds_are_measured_under_uvicorn(tmp_path: Path, kind: str) -> None:
    """What uvicorn serves is measured, of whatever framework it is."""
    application, endpoint = KINDS[kind]
    write(tmp_path, "app.py", application)
    with running(tmp_path, str(PROGRAMS / "uvicorn"), "app:app", "--port", "0") as program:
        [page] = program.wait_for(SERVED)
        [url] = program.wait_for(UVICORN)
        check_application(page, url, endpoint)


SERVES_IN_CHILD = """
import multiprocessing, os, sys
from wsgiref.simple_server import make_server
from app import app

def serve():
    server = make_server("127.0.0.1", 0, app)
    print(f"Running on http://127.0.0.1:{server.server_port}")
    server.serve_forever()

if __name__ == "__main__":
    child = multiprocessing.get_context(sys.argv[1]).Process(target=serve)
    child.start()
    child.join()
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_the_child_that_serves_an_application_serves_its_metrics(tmp_path: Path, method: str) -> None:
    """Where a server that nobody knows has processes of its own, the page is there with the first request."""
    write(tmp_path, "app.py", FLASK)
    script = write(tmp_path, "server.py", SERVES_IN_CHILD)
    with running(tmp_path, sys.executable, "-W", "ignore::DeprecationWarning", script, method) as program:
        [url] = program.wait_for(r"Running on (http://\S+)")
        assert "worker" not in program.said
        assert ask(f"{url}/items/1").status == 200
        [page] = program.wait_for(rf"worker \d+: {SERVED}")
        wait_until(lambda: total([page], "http_requests_total", endpoint="/items/<int:number>") == 1)


def test_an_application_of_another_framework_that_is_mounted_is_counted_once(tmp_path: Path) -> None:
    """Flask below FastAPI: requests belong to the outer one, whoever answers them."""
    write(tmp_path, "inner.py", FLASK)
    imports = "import inner\nfrom starlette.middleware.wsgi import WSGIMiddleware\n"
    write(tmp_path, "app.py", f"{FASTAPI}\n{imports}app.mount('/flask', WSGIMiddleware(inner.app))\n")
    with running(tmp_path, str(PROGRAMS / "uvicorn"), "app:app", "--port", "0") as program:
        [page] = program.wait_for(SERVED)
        [url] = program.wait_for(UVICORN)
        assert ask(f"{url}/items/1").status == 200
        assert ask(f"{url}/flask/items/1").status == 200
        wait_until(lambda: total([page], "http_requests_total") >= 2)
        assert total([page], "http_requests_total") == 2


def test_all_can_be_switched_off_but_the_page(tmp_path: Path) -> None:
    """With ``*`` applications are served as they are, and the process alone is measured."""
    write(tmp_path, "app.py", FASTAPI)
    command = (str(PROGRAMS / "uvicorn"), "app:app", "--port", "0")
    with running(tmp_path, *command, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="*") as program:
        [page] = program.wait_for(SERVED)
        [url] = program.wait_for(UVICORN)
        assert ask(f"{url}/items/1").status == 200
        assert samples(page, "memory_usage_bytes")
        assert not samples(page, "http_requests_total")


FIRST_USE = """
import logging, sys, urllib.request
import inner, requests
from wsgiref.util import setup_testing_defaults

def imported():
    rooms = "otel_monitoring", "opentelemetry", "prometheus_client"
    return {name for name in sys.modules if name.partition(".")[0] in rooms}

before = imported()
for path in ("/items/1", "/items/0", "/nowhere"):
    environ = {"PATH_INFO": path}
    setup_testing_defaults(environ)
    for piece in inner.app(environ, lambda *_: None):
        pass
try:
    requests.get("http://127.0.0.1:1/")
except requests.ConnectionError:
    logging.getLogger("inner").exception("no connection")
page = urllib.request.urlopen(sys.argv[1]).read().decode()
print("http_requests_total{" in page, "api_requests_total{" in page, sorted(imported() - before))
"""


@pytest.mark.parametrize("kind", ["flask", "django_wsgi"])
def test_the_first_request_the_first_error_and_the_first_scrape_import_nothing(tmp_path: Path, kind: str) -> None:
    """A worker that is forked while another thread imports would wait for that import for ever."""
    write(tmp_path, "inner.py", KINDS[kind][0])
    find = "from otel_monitoring.zero_code.bootstrap import _started; sys.argv.append(_started[0].server.url)\n"
    script = write(tmp_path, "script.py", f"import sys\n{find}{FIRST_USE}")
    done = run_to_end(sys.executable, script, options=("--port", "0", "--quiet"), cwd=tmp_path)
    assert done.stdout == "True True []\n", done.stderr


def test_flasks_own_server_is_measured(tmp_path: Path) -> None:
    """``python -m flask run`` serves and is measured in the process that was started."""
    write(tmp_path, "app.py", FLASK)
    with running(tmp_path, sys.executable, "-m", "flask", "run", "--port", "0") as program:
        [page] = program.wait_for(SERVED)
        [url] = program.wait_for(r"Running on (http://\S+)")
        check_application(page, url, "/items/<int:number>")


def test_a_celery_worker_is_measured(tmp_path: Path) -> None:
    """Errors of tasks, which celery only logs, are counted once."""
    write(
        tmp_path,
        "tasks.py",
        """
from celery import Celery, signals
app = Celery("tasks", broker="memory://")

@app.task
def fail():
    raise LookupError("no such prospect")

@signals.worker_ready.connect
def start(**_):
    fail.delay()
""",
    )
    command = (str(PROGRAMS / "celery"), "-A", "tasks", "worker", "--pool=solo", "--without-mingle", "--without-gossip")
    with running(tmp_path, *command) as program:
        [page] = program.wait_for(SERVED)
        program.wait_for("Task tasks.fail.* raised unexpected")
        wait_until(lambda: total([page], "system_errors_total", error_type="LookupError") == 1)
        assert total([page], "system_errors_total") == 1
        assert program.stop(signal.SIGTERM) == 0


# Its port


def test_a_port_in_use_is_said_and_stops_nothing(tmp_path: Path) -> None:
    """The application runs without a page, and the message names the port and what to do."""
    script = write(tmp_path, "script.py", "print('done')")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        done = run_to_end(sys.executable, script, options=("--port", port), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert f"cannot listen on port {port} of '127.0.0.1': another program listens there" in done.stderr
    assert "not served" in done.stderr


def test_nothing_is_served_where_that_is_not_wanted(tmp_path: Path) -> None:
    """``--no-serve`` opens no port."""
    done = run_to_end(sys.executable, "-c", "print('done')", options=("--no-serve",), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert "not served" in done.stderr
    assert "http://" not in done.stderr


def test_pythons_that_the_application_starts_leave_the_port_to_it(tmp_path: Path) -> None:
    """Started and forked children do not serve, say nothing, and end; the first goes on serving."""
    script = write(
        tmp_path,
        "script.py",
        """
import multiprocessing, os, signal, subprocess, sys, threading

def forked():
    child = os.fork()
    if child == 0:
        print("threads of the forked:", threading.active_count())
        os._exit(0)
    os.waitpid(child, 0)

if __name__ == "__main__":
    ask = "import threading; print('threads of the started:', threading.active_count())"
    subprocess.run([sys.executable, "-c", ask], check=True)
    spawned = multiprocessing.get_context("spawn").Process(target=forked)
    spawned.start()
    spawned.join()
    forked()
    print("ready")
    signal.pause()
""",
    )
    with running(tmp_path, sys.executable, "-W", "ignore::DeprecationWarning", script) as program:
        [page] = program.wait_for(SERVED)
        program.wait_for("ready")
        assert "threads of the started: 1\n" in program.said
        assert program.said.count("threads of the forked: 1\n") == 2
        assert program.said.count("otel-monitoring:") == 1
        assert ask(page).status == 200


def test_children_push_nothing_over_what_their_parent_has_pushed(
    tmp_path: Path, pushgateway: PushgatewayServer
) -> None:
    """A Python that the application starts and that ends soon leaves no group on the Pushgateway."""
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'pass'], check=True)"
    done = run_to_end(
        sys.executable,
        "-c",
        child,
        options=("--no-serve", "--quiet"),
        cwd=tmp_path,
        env={
            "OTEL_SERVICE_NAME": "mailer",
            "OTEL_MONITORING_PROMETHEUS_PUSH_GATEWAY": pushgateway.url,
            "OTEL_MONITORING_PUSH_INSTANCE": "one",
        },
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert pushgateway.groups() == [{"job": "mailer", "instance": "one"}]


# Signals and ends


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_are_the_programs_own(tmp_path: Path, number: signal.Signals) -> None:
    """The process is the program: a signal ends it as it ends Python."""
    script = write(tmp_path, "script.py", WAITS)
    with running(tmp_path, sys.executable, script) as program:
        program.wait_for("ready")
        assert program.stop(number) == -number
        assert ("KeyboardInterrupt" in program.said) == (number == signal.SIGINT)


def test_a_reader_that_leaves_ends_a_program_that_is_no_python(tmp_path: Path) -> None:
    """SIGPIPE, which Python ignores, is back in place."""
    command = [*COMMAND, "run", "--", "yes"]
    with subprocess.Popen(command, cwd=tmp_path, env=clean_environment(), stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        program.stdout.readline()
        program.stdout.close()
        assert program.wait(ENDS_WITHIN_SECONDS) == -signal.SIGPIPE


def test_an_application_that_crashes_does_so_as_before(tmp_path: Path) -> None:
    """Its traceback and its exit code are Python's, and the error is kept."""
    script = write(tmp_path, "script.py", "def work():\n    raise LookupError('no such prospect')\nwork()")
    done = run_to_end(
        sys.executable,
        script,
        options=("--no-serve", "--quiet"),
        cwd=tmp_path,
        env={"OTEL_MONITORING_STORE_ERRORS": str(tmp_path / "errors.db")},
    )
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert (lines[0], lines[-1]) == ("Traceback (most recent call last):", "LookupError: no such prospect")
    assert "otel" not in done.stderr
    listed = subprocess.run(
        [*COMMAND, "errors", "list", "--store", str(tmp_path / "errors.db")],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "LookupError" in listed.stdout


# The environment it runs in


def test_the_environments_own_sitecustomize_runs(tmp_path: Path) -> None:
    """It runs once, before us, and is what the application gets when it imports that name."""
    # The command is a Python of its own, in which it runs, too.
    customize = "import sys\nif 'run' not in sys.orig_argv: print('customized')\nMINE = 'yes'"
    write(tmp_path, "site/sitecustomize.py", customize)
    done = run_to_end(
        sys.executable,
        "-c",
        "import sitecustomize, sys; print(sitecustomize.MINE, [e for e in sys.path if 'zero_code' in e])",
        options=("--port", "0"),
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "site")},
    )
    assert (done.returncode, done.stdout) == (0, "customized\nyes []\n")
    assert CHECKLIST in done.stderr


def test_a_sitecustomize_that_fails_is_pythons_to_say(tmp_path: Path) -> None:
    """The application is instrumented all the same."""
    write(tmp_path, "site/sitecustomize.py", "raise LookupError('broken')")
    done = run_to_end(
        sys.executable,
        "-c",
        "print('done')",
        options=("--port", "0"),
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path / "site")},
    )
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert "LookupError: broken" in done.stderr
    assert CHECKLIST in done.stderr


def test_a_python_without_the_package_runs_and_says_so(tmp_path: Path) -> None:
    """Another environment's Python is named, and its application runs."""
    venv.create(tmp_path / "other", symlinks=True)
    python = str(tmp_path / "other" / "bin" / "python")
    done = run_to_end(python, "-c", "print('done')", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert done.stderr == f"otel-monitoring: not instrumented: {python} has no otel_monitoring; install it there\n"


def test_a_wrong_setting_is_said_once_and_stops_nothing(tmp_path: Path) -> None:
    """The message is the one of the settings; children are not instrumented, and do not say it again."""
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'print(1)']); print(2)"
    done = run_to_end(
        sys.executable, "-c", child, cwd=tmp_path, env={"OTEL_MONITORING_MAX_SERIES": "many", "PYTHONUNBUFFERED": "1"}
    )
    assert (done.returncode, done.stdout) == (0, "1\n2\n")
    assert done.stderr.count("OTEL_MONITORING_MAX_SERIES: 'many' is not") == 1
    assert "Traceback" not in done.stderr


def test_what_is_switched_off_is_silent(tmp_path: Path) -> None:
    """Nothing is started, and nothing said."""
    show = "import threading; print(threading.active_count())"
    done = run_to_end(sys.executable, "-c", show, cwd=tmp_path, env={"OTEL_SDK_DISABLED": "true"})
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


def test_the_checklist_can_be_silenced(tmp_path: Path) -> None:
    """With ``--quiet`` nothing is said that is not wrong."""
    done = run_to_end(sys.executable, "-c", "print('done')", options=("-q", "--port", "0"), cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")


# OpenTelemetry


def instrumentor(folder: Path, name: str, body: str) -> None:
    """Install an invented instrumentor as a distribution in a folder."""
    package = f"otel_{name}"
    write(
        folder,
        f"{package}.py",
        f"class Instrumentor:\n    def instrument(self, **options):\n        {body}\n",
    )
    info = f"{package}-1.0.dist-info"
    write(folder, f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    write(folder, f"{info}/entry_points.txt", f"[opentelemetry_instrumentor]\n{name} = {package}:Instrumentor\n")


def test_installed_instrumentors_are_enabled(tmp_path: Path) -> None:
    """Each that is installed is enabled or said why not; what they measure shows on the page, without hosts."""
    instrumentor(
        tmp_path,
        "works",
        "from opentelemetry import metrics; "
        "metrics.get_meter('works').create_observable_gauge('http.client.works', callbacks=["
        "lambda _: [metrics.Observation(7, {'server.address': 'h.example', 'http.request.method': 'GET'})]])",
    )
    instrumentor(tmp_path, "fails", "raise LookupError('nothing to\\ninstrument')")
    instrumentor(tmp_path, "unwanted", "raise SystemExit('must not be called')")
    with running(
        tmp_path,
        sys.executable,
        write(tmp_path, "script.py", WAITS),
        PYTHONPATH=str(tmp_path),
        OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="unwanted, requests",
    ) as program:
        [page] = program.wait_for(SERVED)
        program.wait_for("ready")
        assert re.search(r"by OpenTelemetry .*\bworks\b", program.said)
        assert re.search(r"not instrumented +fails: LookupError: nothing to instrument\n", program.said)
        assert re.search(r"switched off +requests, unwanted\n", program.said)
        assert not re.search(r"HTTP clients .*\brequests\b", program.said)
        [shown] = samples(page, "http_client_works")
        assert (shown.labels, shown.value) == ({"http_request_method": "GET"}, 7)


def test_stable_conventions_are_chosen_unless_others_are(tmp_path: Path) -> None:
    """OpenTelemetry's instrumentations see the choice before they are imported."""
    show = "import os; print(os.environ['OTEL_SEMCONV_STABILITY_OPT_IN'])"
    chosen = run_to_end(sys.executable, "-c", show, options=("--no-serve",), cwd=tmp_path)
    given = run_to_end(
        sys.executable,
        "-c",
        show,
        options=("--no-serve",),
        cwd=tmp_path,
        env={"OTEL_SEMCONV_STABILITY_OPT_IN": "http/dup"},
    )
    assert (chosen.stdout, given.stdout) == ("http\n", "http/dup\n")


def test_the_applications_own_meter_provider_comes_first(tmp_path: Path) -> None:
    """An application that sets one is not refused, and what it measures shows on the page."""
    script = write(
        tmp_path,
        "script.py",
        """
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
provider = MeterProvider()
metrics.set_meter_provider(provider)
assert metrics.get_meter_provider() is provider
metrics.get_meter("mine").create_counter("mine").add(3)
import signal
print("ready")
signal.pause()
""",
    )
    with running(tmp_path, sys.executable, script) as program:
        [page] = program.wait_for(SERVED)
        program.wait_for("ready")
        ask(page)
        assert "Overriding" not in program.said


def test_opentelemetrys_own_command_picks_it_up(tmp_path: Path) -> None:
    """``opentelemetry-instrument`` loads the distro: page, checklist, and each request counted once."""
    write(tmp_path, "app.py", FASTAPI)
    instrumentor(tmp_path, "works", "pass")
    instrumentor(tmp_path, "fails", "raise LookupError('nothing to instrument')")
    command = (str(PROGRAMS / "opentelemetry-instrument"), str(PROGRAMS / "uvicorn"), "app:app", "--port", "0")
    env = {"OTEL_MONITORING_PROMETHEUS_PORT": "0", "PYTHONPATH": str(tmp_path)}
    with Running(tmp_path, command, env) as program:
        [page] = program.wait_for(SERVED)
        [url] = program.wait_for(UVICORN)
        for _ in range(3):
            assert ask(f"{url}/items/1").status == 200
        wait_until(lambda: requests_of([page]) >= 3)
        assert requests_of([page]) == 3
        assert "http_server" not in ask(page).body.decode()
        assert program.said.count(CHECKLIST) == 1
        assert re.search(r"by OpenTelemetry .*\bworks\b", program.said)
        assert re.search(r"not instrumented +fails: LookupError", program.said)


OTHER_DISTRIBUTION = """
from opentelemetry.instrumentation.distro import BaseDistro

class Distro(BaseDistro):
    def _configure(self, **options):
        print("other distro")

class Configurator:
    def configure(self, **options):
        print("other configurator")
"""


@pytest.mark.parametrize("chosen", [False, True], ids=["not_chosen", "chosen"])
def test_another_distribution_of_opentelemetry_goes_on_as_before(tmp_path: Path, chosen: bool) -> None:
    """Having the package installed changes nothing for it, until ours is chosen by OpenTelemetry's variables."""
    write(tmp_path, "otel_other.py", OTHER_DISTRIBUTION)
    write(tmp_path, "otel_other-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: otel_other\nVersion: 1.0\n")
    parts = ("distro = otel_other:Distro", "configurator = otel_other:Configurator")
    entries = "".join(f"[opentelemetry_{part.split()[0]}]\n{part}\n" for part in parts)
    write(tmp_path, "otel_other-1.0.dist-info/entry_points.txt", entries)
    choice = {f"OTEL_PYTHON_{part}": "otel_monitoring" for part in ("DISTRO", "CONFIGURATOR") if chosen}
    done = subprocess.run(
        [PROGRAMS / "opentelemetry-instrument", sys.executable, "-c", "print('done')"],
        env=clean_environment(PYTHONPATH=str(tmp_path), OTEL_MONITORING_PROMETHEUS_PORT="0", **choice),
        capture_output=True,
        text=True,
        timeout=ENDS_WITHIN_SECONDS,
        check=True,
    )
    expected = ["done"] if chosen else ["other distro", "other configurator", "done"]
    assert done.stdout.splitlines() == expected
    assert (CHECKLIST in done.stderr) == chosen


# Applications that know of us


def test_an_applications_own_service_is_the_one(tmp_path: Path) -> None:
    """What it declares shows on the page, its application is counted once, and its clients too."""
    write(
        tmp_path,
        "app.py",
        """
import httpx
from fastapi import FastAPI
from otel_monitoring import MonitoringService

app = FastAPI()
monitoring = MonitoringService(service_name="outreach")
monitoring.instrument(app)
JOBS = monitoring.counter("jobs", unit="{job}", description="Jobs.")

@app.get("/items/{number}")
def item(number: int) -> dict[str, int]:
    JOBS.add(1)
    try:
        httpx.get("http://127.0.0.1:1/")
    except httpx.ConnectError:
        pass
    return {"number": 10 // number}
""",
    )
    with running(tmp_path, str(PROGRAMS / "uvicorn"), "app:app", "--port", "0") as program:
        [url] = program.wait_for(UVICORN)
        program.wait_for("startup complete")
        page = program.wait_for(SERVED)[-1]
        assert [ask(f"{url}/items/{number}").status for number in (1, 0)] == [200, 500]
        assert total([page], "http_requests_total") == 2
        assert total([page], "jobs_total") == 2
        assert total([page], "api_requests_total") == 2
        assert total([page], "system_errors_total") == 1
        assert total([page], "system_errors_total", component="outreach") == 1


# What cannot be started


def test_a_command_that_is_not_found_is_said_as_by_a_shell(tmp_path: Path) -> None:
    """One line, and exit code 127."""
    done = run_to_end("no-such-program", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (127, "")
    assert done.stderr == "otel-monitoring: 'no-such-program' is not found: no program of this name is in the PATH\n"


@pytest.mark.parametrize("mode", [0o644, 0o755], ids=["not_executable", "no_program"])
def test_a_file_that_is_no_program_is_said(tmp_path: Path, mode: int) -> None:
    """One line, and exit code 126."""
    write(tmp_path, "notes.txt", "buy milk\n")
    (tmp_path / "notes.txt").chmod(mode)
    done = run_to_end("./notes.txt", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (126, "")
    assert re.fullmatch(r"otel-monitoring: '\./notes\.txt' cannot be run: .+\n", done.stderr)


@pytest.mark.parametrize("given", [["run"], ["run", "--"]], ids=["nothing", "dashes"])
def test_without_a_command_the_usage_is_shown(given: list[str]) -> None:
    """It ends with 2, as wrong usage does."""
    done = subprocess.run([*COMMAND, *given], capture_output=True, text=True, timeout=ENDS_WITHIN_SECONDS, check=False)
    assert done.returncode == 2
    assert "run [OPTIONS]" in done.stdout + done.stderr
    assert "COMMAND" in done.stdout + done.stderr


def test_a_python_that_refuses_is_named(tmp_path: Path) -> None:
    """The program runs as it was asked to, and the option to leave out is said."""
    done = run_to_end(sys.executable, "-I", "-c", "print('done')", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert done.stderr.count("\n") == 1
    assert "has the option -I, which keeps Python from being instrumented" in done.stderr
