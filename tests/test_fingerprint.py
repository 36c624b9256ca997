"""Fingerprints: the same fault has the same one each time and everywhere, another fault another."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_monitoring.errors import chain as chain_module
from otel_monitoring.errors import fingerprint as fingerprint_module
from otel_monitoring.errors.chain import Frame, Link, Relation, chain_of
from otel_monitoring.errors.fingerprint import CHARACTERS, LINES, fingerprint_of, template_of

if TYPE_CHECKING:
    from collections.abc import Callable


def of_text(message: str, *, error_type: str = "log_error") -> str:
    """Return the fingerprint of an error without an exception."""
    return fingerprint_of(service="shop", component="cart", error_type=error_type, message=message, chain=())


def of(exception: BaseException, *, message: str = "failed", error_type: str = "any") -> str:
    """Return the fingerprint of an exception."""
    return fingerprint_of(
        service="shop", component="cart", error_type=error_type, message=message, chain=chain_of(exception, clean=str)
    )


def caught(function: Callable[[], object]) -> BaseException:
    """Return what a function raises."""
    try:
        function()
    except Exception as error:  # noqa: BLE001 (it is what was asked for)
        return error
    raise AssertionError("nothing was raised")


def made(source: str, *, blank_lines: int = 0, file: str = "/srv/shop.py", call: str = "run()") -> BaseException:
    """Return what source raises that is run as a module ``shop``; the call stands in a console, as it were."""
    variables: dict[str, Any] = {"__name__": "shop"}
    exec(compile("\n" * blank_lines + source, file, "exec"), variables)
    return caught(lambda: eval(call, variables))


SAME = {
    "numbers": ("took 3 of 17", "took 40 of 1200"),
    "floats and signs": ("moved by -3.25", "moved by +1e-7", "moved by 0.5", "moved by 1_000.25"),
    "numbers with units": ("gone after 12.5s, 80%, 3MB", "gone after 3s, 7.25%, 12.75MB"),
    "ids with a hyphen": ("prospect-123 is gone", "prospect-77 is gone"),
    "ids with an underscore": ("job_88f2a failed", "job_19b failed"),
    "ids of several parts": ("worker eu-west-1-b stopped", "worker us-east-2 stopped"),
    "UUIDs": (
        "order 550e8400-e29b-41d4-a716-446655440000 failed",
        "order aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee failed",
        "order {550E8400-E29B-41D4-A716-446655440000} failed".replace("{", "").replace("}", ""),
    ),
    "hashes": ("commit deadbeef failed", "commit 7f3a91c failed", "commit 9e107d9d372bb6826bd81d3542a419d6 failed"),
    "base64": (
        "token AbCd1.eF2g-h_I.3jKl refused",
        "token ab3+cd/efGH12== refused",
        "token a/b3c/d+e= refused",
    ),
    "addresses of objects": ("<Cart object at 0x7f001122> is closed", "<Cart object at 0x55aa> is closed"),
    "hex addresses": ("segment at 0x7f001122", "segment at 0xdeadbeef"),
    "several objects": ("closed [<A object at 0x1>, <B object at 0x2>]", "closed [<A object at 0x3>]"),
    "single quotes": ("no item 'a b c'", "no item ''", "no item 'it\\'s'", "no item 'don't'"),
    "double quotes": ('no item "a, b"', 'no item "O\'Neil"', 'no item "say \\"hi\\""'),
    "backquotes": ("unknown column `a b`", "unknown column `c`"),
    "bytes": ("cannot read b'\\x00\\x01'", "cannot read b'abc'", "cannot read 'abc'"),
    "keyword values": ("missing (name='a', size=3)", "missing (name='b c', size=4)"),
    "URLs": ("GET https://api.example.com/v1/a?b=c#d failed", "GET http://10.0.0.1:8080/x failed"),
    "URLs in brackets": ("no answer (https://a.example/x)", "no answer (https://b.example/y/z)"),
    "database URLs": ("no answer from postgresql+psycopg://u@db/a", "no answer from redis://cache:6379/0"),
    "e-mail addresses": ("sent to ann.lee+x@example.com twice", "sent to bob@mail.example.org twice"),
    "absolute paths": ("cannot open /etc/app/config.toml: gone", "cannot open /var/x: gone"),
    "relative paths": ("cannot open ./data/a.csv", "cannot open ../x", "cannot open data/b.csv", "cannot open ~/a"),
    "Windows paths": ("cannot open C:\\data\\a.csv", "cannot open \\\\host\\share\\b"),
    "IPv4": ("no route to 10.0.0.1:80", "no route to 192.168.100.200:65535", "no route to 127.0.0.1"),
    "IPv6": ("no route to 2001:db8::1", "no route to fe80::ab:cd12", "no route to ::1"),
    "hardware addresses": ("no card aa:bb:cc:dd:ee:0f", "no card 00:1b:44:11:3a:b7"),
    "dates": ("expired on 2026-11-25", "expired on 01/02/2024"),
    "times": ("expired at 2026-11-25T10:00:00Z", "expired at 2026-11-25 10:00:00.123+02:00", "expired at 10:00:00"),
    "lists": ("ids [1, 2, 3] failed", "ids [4, 5] failed", "ids [6] failed", "ids 7,8 failed"),
    "tuples": ("ids (1,) failed", "ids ('a', 2) failed"),
    "nested data": ("got {'a': 1, 'b': [1, {'c': 'd'}]}", "got {'x': 'y'}"),
    "white space": ("could  not\n\tconnect ", "could not connect"),
    "numbers and quotes without spaces": ("用户123在'a b'未找到", "用户4在'c'未找到"),
    "versions": ("needs v1.2.3", "needs 10.20"),
}


@pytest.mark.parametrize("messages", SAME.values(), ids=SAME.keys())
def test_texts_that_differ_in_values_are_one_fault(messages: tuple[str, ...]) -> None:
    assert len({template_of(message) for message in messages}) == 1
    assert len({of_text(message) for message in messages}) == 1
    assert re.search(r"\w{3}", template_of(messages[0]))


DIFFERENT = {
    "words": ("connection refused", "connection reset", "connection reset by peer"),
    "words beside values": ("[Errno 111] Connection refused", "[Errno 104] Connection reset"),
    "words after quoted text": ("'a' not found", "'a' not allowed"),
    "names of values": ("missing name='a'", "missing size='a'"),
    "units": ("waited 5 s", "waited 5 min", "waited 5 MB"),
    "apostrophes are no quotes": ("can't read the cart, don't retry", "can't write the cart, don't retry"),
    "plural apostrophes are no quotes": (
        "users' carts are full, users' orders",
        "users' carts are gone, users' orders",
    ),
    "names with digits": ("S3 upload failed", "EC2 upload failed", "utf-8 upload failed", "SHA256 upload failed"),
    "classes in modules with digits": ("sqlite3.OperationalError", "sqlite3.IntegrityError"),
    "words with a slash": ("Input/output error", "read/write error", "N/A error", "text/html error"),
    "upper and lower case": ("no such table", "No such table"),
    "words without spaces": ("用户123未找到", "订单123未找到", "用户'a'未找到。", "订单'a'未找到。"),
    "order of words": ("cart has no item", "item has no cart"),
    "how many": ("no value", "no value 1"),
}


@pytest.mark.parametrize("messages", DIFFERENT.values(), ids=DIFFERENT.keys())
def test_texts_that_differ_in_words_are_different_faults(messages: tuple[str, ...]) -> None:
    assert len({of_text(message) for message in messages}) == len(messages)


def test_what_is_left_of_a_text_can_be_read() -> None:
    message = "prospect-12: GET https://x.example/a took 3.5 s, 'a b' is no number [1, 2]"
    assert template_of(message) == "*: GET * took * s, * is no number *"


def test_a_fingerprint_is_of_its_service_component_and_type() -> None:
    def print_of(**changed: str) -> str:
        told = {"service": "a", "component": "b", "error_type": "c", "message": "d"} | changed
        return fingerprint_of(chain=(), **told)

    prints = [print_of(), *(print_of(**{name: "x"}) for name in ("service", "component", "error_type", "message"))]
    assert len(set(prints)) == 5
    assert print_of(service="ab", component="c") != print_of(service="a", component="bc")
    assert print_of(service="a1:b", component="") != print_of(service="a", component="b")


def test_what_the_application_says_groups_whatever_differs_within_a_component() -> None:
    def print_of(override: str, component: str = "cart", message: str = "x") -> str:
        chain = chain_of(ValueError(message), clean=str)
        told = {"service": "shop", "component": component, "error_type": message, "message": message}
        return fingerprint_of(chain=chain, override=override, **told)

    assert print_of("stock") == print_of("stock", message="quite another")
    assert len({print_of("stock"), print_of("price"), print_of(""), print_of("stock", "basket")}) == 4


RUN = """
def run(depth=3):
    if depth:
        return run(depth - 1)
    raise ValueError(f"no item {depth}")
"""


def test_an_exception_has_one_fingerprint_whichever_door_it_came_by() -> None:
    error = made(RUN)
    assert of(error, message="while buying", error_type="buy") == of(
        error, message="no item 0", error_type="ValueError"
    )


def test_neither_lines_nor_files_nor_depth_count() -> None:
    expected = of(made(RUN))
    assert of(made(RUN, blank_lines=100)) == expected
    assert of(made(RUN, file="/home/ann/shop.py")) == expected
    assert of(made(RUN, call="run(30)")) == expected


def test_an_endless_recursion_is_one_fault_wherever_it_ended() -> None:
    source = "def run():\n    return other()\ndef other():\n    return run()\n"

    def print_at(depth: int) -> str:
        return print_at(depth - 1) if depth else of(made(source))

    assert len({print_at(depth) for depth in range(4)}) == 1


OTHER_FAULTS = {
    "function": RUN.replace("run", "ran") + "run = ran",
    "type": RUN.replace("ValueError", "KeyError"),
    "text": RUN.replace("no item", "no cart"),
    "path": RUN.replace("run", "_run") + "def run():\n    _run()",
    "cause": RUN.replace('{depth}")', '{depth}") from OSError()'),
    "note": RUN.replace("raise ", "error = ") + "    error.add_note('noted')\n    raise error",
}


@pytest.mark.parametrize("source", OTHER_FAULTS.values(), ids=OTHER_FAULTS.keys())
def test_another_type_text_function_path_or_cause_is_another_fault(source: str) -> None:
    assert of(made(source)) != of(made(RUN))


def test_frames_of_libraries_do_not_count_beside_the_applications_own() -> None:
    own = Frame("shop", "run", "/srv/shop.py", 3, in_app=True)
    library, other = (Frame("lib", name, "/lib.py", 1, in_app=False) for name in ("first", "second"))

    def print_of(*frames: Frame) -> str:
        link = Link("ValueError", "x", Relation.RAISED, frames)
        return fingerprint_of(service="", component="", error_type="", message="", chain=[link])

    assert print_of(own, library) == print_of(own, other) == print_of(library, own, own)
    assert print_of(library) != print_of(other)
    assert print_of(other, library) == print_of(library)
    assert len({print_of(), print_of(own), print_of(library)}) == 3


COMPREHENSIONS = [
    "def run():\n    return {}",
    "def run():\n    class Cart:\n        items = {}",
    "def run():\n    return [(lambda: {})() for _ in '1']",
    "def run():\n    class Cart:\n        items = [(lambda: {})() for _ in '1']",
    "run = lambda: [{} for _ in '1']",
]


@pytest.mark.parametrize("source", COMPREHENSIONS)
def test_comprehensions_are_no_calls_of_their_own(source: str) -> None:
    comprehensions = ("[1 / 0 for _ in '1']", "{1 / 0 for _ in '1'}", "{1 / 0: 1 for _ in '1'}")
    assert {of(made(source.format(text))) for text in comprehensions} == {of(made(source.format("[1 / 0]")))}
    assert of(made(source.format("list(1 / 0 for _ in '1')"))) != of(made(source.format("[1 / 0]")))


KINDS = {
    "nested function": "def run():\n    def inner():\n        1 / 0\n    inner()",
    "lambda": "run = lambda: 1 / 0",
    "method": "class Cart:\n    def buy(self):\n        1 / 0\ndef run():\n    Cart().buy()",
    "generator": "def numbers():\n    yield 1 / 0\ndef run():\n    list(numbers())",
}


def test_each_kind_of_function_has_a_place_of_its_own() -> None:
    prints = [of(made(source)) for source in KINDS.values()]
    assert len(set(prints)) == len(KINDS)
    assert prints == [of(made(source, blank_lines=7)) for source in KINDS.values()]


async def reserve(items: list[str]) -> None:
    """Fail for each item, in a task of its own."""

    async def take(item: str) -> None:
        await asyncio.sleep(0)
        raise LookupError(item) if item.isdigit() else ValueError(item)

    async with asyncio.TaskGroup() as group:
        for item in items:
            group.create_task(take(item))


def test_tasks_that_fail_alike_are_one_fault_however_many_and_in_any_order() -> None:
    def print_of(*items: str) -> str:
        return of(caught(lambda: asyncio.run(reserve(list(items)))))

    assert print_of("1") == print_of("2", "3", "4")
    assert print_of("1", "a", "2") == print_of("a", "2")
    assert len({print_of("1"), print_of("a"), print_of("1", "a")}) == 3


def test_the_order_of_causes_counts() -> None:
    def print_of(*errors: Exception) -> str:
        for error, cause in pairwise(errors):
            error.__cause__ = cause
        return of(errors[0])

    assert print_of(ValueError(), KeyError(), OSError()) != print_of(ValueError(), OSError(), KeyError())


def test_only_the_beginning_of_a_text_counts_however_long_its_values_are() -> None:
    values = ["x" * length for length in (10, CHARACTERS // 2, CHARACTERS - 30, 5 * CHARACTERS)]
    long = "y" * 2 * CHARACTERS
    assert len({of_text(f"cannot read '{value}' {long}") for value in values[:2]}) == 1
    assert len({of_text(f"cannot read '{value}") for value in values[3:]} | {of_text(f"cannot read '{long}'")}) == 1
    assert of_text(f"cannot read {long}") != of_text(f"cannot write {long}")
    lines = "\n".join(["line"] * LINES)
    assert of_text(f"{lines}\nabc") == of_text(f"{lines}\nxyz") == of_text(lines)


HOSTILE = [
    *("x'", " '", "' ", "\\'", '"', "`a", "a-", "/a", "a/b ", "a.b/", "[(", "*,", "(* ", "((*))", "1,", "1.5ms"),
    *("f:", "1:", "<", "<a at 0x", "@", "a@", "://", "a://", "a+", "-", "_", "\n", "\0", "\ud800", "é", "\u0661", "a"),
]


def test_no_text_takes_long() -> None:
    texts = [piece * CHARACTERS for piece in HOSTILE]
    started = time.process_time()
    for text in texts:
        of_text(text)
        of_text(f"{text}!'\"")
    # Some 0.3 ms each; a pattern that tries all ways would take longer than anybody waits.
    assert time.process_time() - started < 5


@given(st.text(max_size=200), st.text(max_size=50), st.text(max_size=20), st.none() | st.text(max_size=5))
def test_any_error_has_a_fingerprint_of_16_hex_digits(
    message: str, service: str, error_type: str, override: str | None
) -> None:
    exception = ExceptionGroup(message, [ValueError(message), KeyError(service)])
    for chain in ((), chain_of(exception, clean=str)):
        told = {"service": service, "component": service, "error_type": error_type, "message": message}
        fingerprint = fingerprint_of(chain=chain, override=override, **told)
        assert re.fullmatch("[0-9a-f]{16}", fingerprint)
        assert fingerprint == fingerprint_of(chain=chain, override=override, **told)


QUOTED = st.text(st.characters(exclude_characters="'\"`\\\n", exclude_categories=["Cs"]), max_size=50)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)


@given(QUOTED, QUOTED, NUMBERS, NUMBERS)
def test_values_in_the_places_of_values_do_not_count(first: str, second: str, number: object, other: object) -> None:
    template = "cannot move {0!s} items of '{1}' to \"{1}\": {0!s} is more than `{1}`"
    assert of_text(template.format(number, first)) == of_text(template.format(other, second))
    assert of_text(f"no item {first!r}") == of_text(f"no item {second!r}")


@given(st.lists(NUMBERS | QUOTED, min_size=1, max_size=20), st.lists(NUMBERS | QUOTED, min_size=1, max_size=20))
def test_how_many_values_are_in_a_list_does_not_count(first: list[object], second: list[object]) -> None:
    assert of_text(f"refused {first} at once") == of_text(f"refused {second} at once")


SHOP = """
class StockError(Exception):
    def __init__(self, item):
        super().__init__(f"no {item!r} in <Store object at 0x{id(self):x}>, asked {id(self)} times")

class Store:
    def take(self, item):
        def look():
            return [self.find(each) for each in [item]]
        return look()
    def find(self, item):
        raise StockError(item)

def cause():
    try:
        {}["key"]
    except KeyError as error:
        raise StockError("key") from error

def context():
    try:
        int("x")
    except ValueError:
        return [(lambda: {1 / 0 for _ in "1"})() for _ in "1"]

def group():
    errors = []
    for item in range(3):
        try:
            Store().take(item)
        except StockError as error:
            errors.append(error)
    raise ExceptionGroup(f"{len(errors)} failed", errors)

def library():
    import json
    return {name: json.loads("{") for name in "a"}

def recursion():
    return [recursion()]
"""

PROGRAM = """
import importlib.util, json, sys

def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

chain, fingerprint, shop = map(load, ("chain", "fingerprint", "shop"), sys.argv[1:])

def print_of(message="", links=(), override=None):
    return fingerprint.fingerprint_of(
        service="shop", component="cart", error_type="kind", message=message, chain=links, override=override
    )

prints = {"message": print_of("prospect 123 was not found in 'a' after 3 s"), "override": print_of(override="stock")}
for name in ("cause", "context", "group", "library", "recursion"):
    try:
        getattr(shop, name)()
    except Exception as error:
        # Without this program's own call, which is no part of the shop.
        prints[name] = print_of(links=chain.chain_of(error.with_traceback(error.__traceback__.tb_next), clean=str))
print(json.dumps(prints))
"""

EXPECTED = {
    "message": "6fd7e83a66769955",
    "override": "27ee987465f3ed5a",
    "cause": "d6c5cd6bd851a349",
    "context": "a1e6e731fb5153d4",
    "group": "41d562b92e51880c",
    "library": "9d72345f764a7204",
    "recursion": "be8d9bd10f2309f8",
}
"""As they have always been: where one changes, every group in every store begins anew."""


def find_python(version: str) -> str | None:
    """Return a Python of a version: this one, one of the search path, or one that pyenv keeps."""
    if sys.version.startswith(f"{version}."):
        return sys.executable
    kept = Path.home().glob(f".pyenv/versions/{version}.*/bin/python")
    for program in (shutil.which(f"python{version}"), *map(str, kept)):
        # A shim of pyenv's stands in the search path for versions that are not to be had.
        if program and subprocess.run([program, "-c", ""], check=False, capture_output=True).returncode == 0:
            return program
    return None


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_fingerprints_are_the_same_in_every_process_and_python(version: str, tmp_path: Path) -> None:
    program = find_python(version)
    if program is None:
        pytest.skip(f"there is no Python {version} here")
    shop = tmp_path / "shop.py"
    modules = [module.__file__ or "" for module in (chain_module, fingerprint_module)]
    for seed in ("1", "2"):
        shop.write_text("\n" * int(seed) + SHOP)
        command = [program, "-B", "-c", PROGRAM, *modules, str(shop)]
        result = subprocess.run(command, check=True, capture_output=True, env={"PYTHONHASHSEED": seed})
        assert json.loads(result.stdout) == EXPECTED
