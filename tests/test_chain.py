"""The chain of an exception: what led to it, with frames, in bounds, whatever the exceptions are like."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import json
import os
import runpy
import sys
import traceback
import types
import weakref
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_monitoring.errors.chain import (
    INNERMOST,
    MESSAGE_CHARACTERS,
    MOST_CALLS,
    MOST_FRAMES,
    MOST_KNOWN,
    MOST_LINKS,
    MOST_NOTES,
    OUTERMOST,
    Frame,
    Link,
    Relation,
    chain_of,
    format_chain,
    payload_of,
    text_of,
)
from otel_monitoring.instrument.operation import Operations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from otel_monitoring.errors.stored import Plain
    from otel_monitoring.metrics import Registry

RAISED, CAUSE, CONTEXT, MEMBER = Relation


def caught(function: Callable[[], object]) -> BaseException:
    """Return what a function raises."""
    try:
        function()
    except BaseException as error:  # noqa: BLE001 (it is what was asked for)
        return error
    raise AssertionError("nothing was raised")


def made(source: str, file: str = "<made>", **variables: object) -> BaseException:
    """Return what a piece of source raises, which stands in no file."""
    code = compile(source, file, "exec")
    return caught(lambda: exec(code, {"__name__": "made", **variables}))


def chain(exception: BaseException) -> tuple[Link, ...]:
    return chain_of(exception, clean=str)


def last_frame(exception: BaseException) -> Frame:
    return chain(exception)[0].frames[-1]


def text(exception: BaseException) -> str:
    payloads = json.dumps([payload_of(link) for link in chain(exception)])
    return format_chain(json.loads(payloads))


def told(exception: BaseException) -> list[tuple[str, str]]:
    """Return type and relation of each exception of a chain."""
    return [(link.type, link.relation.value) for link in chain(exception)]


def fail(message: str = "failed") -> None:
    raise ValueError(message)


class Outer:
    """Something with a method."""

    def fail(self) -> None:
        """Fail."""
        fail()


def test_a_frame_says_module_function_file_and_line_the_innermost_call_last() -> None:
    frames = chain(caught(Outer().fail))[0].frames
    assert [frame.function for frame in frames] == ["caught", "Outer.fail", "fail"]
    line = fail.__code__.co_firstlineno + 1
    assert frames[-1] == Frame(__name__, "fail", __file__, line, in_app=True)


def test_an_exception_that_was_never_raised_has_no_frames() -> None:
    assert chain(ValueError("x")) == (Link("ValueError", "x", RAISED, ()),)


def test_the_cause_follows_and_stands_before_what_was_being_handled() -> None:
    source = "try:\n  1 / 0\nexcept ZeroDivisionError:\n  raise ValueError from KeyError('x')"
    assert told(made(source)) == [("ValueError", "raised"), ("KeyError", "cause")]


def test_what_was_being_handled_follows_unless_it_is_suppressed() -> None:
    source = "try:\n  1 / 0\nexcept ZeroDivisionError:\n  raise ValueError"
    assert told(made(source)) == [("ValueError", "raised"), ("ZeroDivisionError", "context")]
    assert told(made(f"{source} from None")) == [("ValueError", "raised")]


def test_members_of_groups_follow_depth_first_and_know_their_group() -> None:
    member = KeyError("a")
    member.__cause__ = OSError("b")
    inner = ExceptionGroup("inner", [member, TypeError("c")])
    outer = ExceptionGroup("outer", [inner, ValueError("d")])
    outer.__cause__ = RuntimeError("e")
    assert [(link.type, link.relation, link.group) for link in chain(outer)] == [
        ("ExceptionGroup", RAISED, None),
        ("RuntimeError", CAUSE, None),
        ("ExceptionGroup", MEMBER, 0),
        ("KeyError", MEMBER, 2),
        ("OSError", CAUSE, None),
        ("TypeError", MEMBER, 2),
        ("ValueError", MEMBER, 0),
    ]


def test_a_chain_ends_after_its_bound() -> None:
    first = error = ValueError("0")
    for number in range(1, 3 * MOST_LINKS):
        error.__cause__ = ValueError(str(number))
        error = error.__cause__
    assert [link.message for link in chain(first)] == [str(number) for number in range(MOST_LINKS)]
    group = ExceptionGroup("many", [ValueError(str(number)) for number in range(10_000)])
    assert len(chain(group)) == MOST_LINKS


def test_a_circle_of_exceptions_is_gone_round_once() -> None:
    first, second = ValueError("first"), KeyError("second")
    first.__cause__, second.__context__ = second, first
    assert told(first) == [("ValueError", "raised"), ("KeyError", "cause")]
    first.__cause__ = first
    assert told(first) == [("ValueError", "raised")]
    member = ValueError("member")
    group = ExceptionGroup("group", [member, member])
    member.__cause__ = group
    assert told(group) == [("ExceptionGroup", "raised"), ("ValueError", "member")]


def dive(depth: int) -> None:
    if depth:
        dive(depth - 1)
    fail()


def test_of_a_deep_stack_the_ends_are_kept_and_the_rest_is_counted() -> None:
    (link,) = chain(caught(lambda: dive(200)))
    functions = [frame.function.rpartition(".")[2] for frame in link.frames]
    assert functions[:3] == ["caught", "<lambda>", "dive"]
    assert functions[-2:] == ["dive", "fail"]
    assert (len(functions), OUTERMOST + INNERMOST) == (MOST_FRAMES, MOST_FRAMES)
    assert link.omitted == 204 - MOST_FRAMES


def test_a_stack_as_deep_as_the_bound_is_kept_whole() -> None:
    (link,) = chain(caught(lambda: dive(MOST_FRAMES - 4)))
    assert (len(link.frames), link.omitted) == (MOST_FRAMES, 0)


def test_a_traceback_is_followed_only_so_far() -> None:
    frame = inspect.currentframe()
    assert frame is not None
    calls: types.TracebackType | None = None
    for _ in range(2 * MOST_CALLS):
        calls = types.TracebackType(calls, frame, 0, 1)
    (link,) = chain(ValueError().with_traceback(calls))
    assert (len(link.frames), link.omitted) == (MOST_FRAMES, MOST_CALLS - MOST_FRAMES)


def test_notes_are_further_lines_of_the_message() -> None:
    error = ValueError("text")
    error.add_note("first")
    error.add_note("second\nthird")
    assert chain(error)[0].message == "text\nfirst\nsecond\nthird"


@pytest.mark.parametrize("notes", [None, 7, "abc", {"a": 1}, [1, None, b"x"], [object()]])
def test_notes_that_are_none_are_left_out(notes: object) -> None:
    error = ValueError("text")
    error.__dict__["__notes__"] = notes
    assert chain(error)[0].message == "text"


def test_messages_and_notes_are_bounded() -> None:
    error = ValueError("x" * 2 * MESSAGE_CHARACTERS)
    message = chain(error)[0].message
    assert message == f"{'x' * MESSAGE_CHARACTERS}… ({MESSAGE_CHARACTERS} characters more)"
    error = ValueError()
    error.__dict__["__notes__"] = ["note"] * 100_000
    assert chain(error)[0].message.count("note") == MOST_NOTES


def test_every_text_of_an_exception_is_cleaned() -> None:
    error = ValueError("secret")
    error.add_note("another secret")
    error.__cause__ = KeyError("secret")
    links = chain_of(error, clean=lambda text: text.replace("secret", "***"))
    assert [link.message for link in links] == ["***\nanother ***", "'***'"]
    assert "secret" not in format_chain([payload_of(link) for link in links])


def names_of(variables: Mapping[object, object]) -> dict[str, Plain]:
    return {str(name): f"<{type(value).__name__}>" for name, value in variables.items()}


def test_locals_are_kept_only_when_asked_for_and_only_of_the_applications_own_frames() -> None:
    def work(password: str) -> object:
        number = 7
        return json.loads(password * number)

    error = caught(lambda: work("{"))
    frames = chain_of(error, clean=str, clean_locals=names_of)[0].frames
    assert frames[2].locals == {"password": "<str>", "number": "<int>"}
    assert [frame.in_app for frame in frames] == [frame.locals is not None for frame in frames]
    assert not frames[-1].in_app
    assert all(frame.locals is None for frame in chain(error)[0].frames)
    assert (
        payload_of(chain_of(error, clean=str, clean_locals=names_of)[0])["frames"][2].get("locals") == frames[2].locals
    )


def test_a_modules_variables_are_not_taken_for_locals() -> None:
    (link,) = chain_of(made("secret = 1\nsecret / 0"), clean=str, clean_locals=names_of)
    assert link.frames[-1].locals is None


def test_equal_frames_with_locals_can_be_put_in_a_set() -> None:
    frames = [Frame("m", "f", "f.py", 1, in_app=True, locals={"a": 1}) for _ in range(2)]
    assert len(set(frames)) == 1


def refuse(*_: object) -> object:
    raise OSError("refused")


HOSTILE = [
    "__cause__",
    "__class__",
    "__context__",
    "__dict__",
    "__module__",
    "__notes__",
    "__suppress_context__",
    "__traceback__",
    "exceptions",
]


@pytest.mark.parametrize("base", [ValueError, ExceptionGroup])
@pytest.mark.parametrize("name", HOSTILE)
def test_an_exception_whose_attributes_cannot_be_had_is_told_all_the_same(name: str, base: type[Exception]) -> None:
    kind: Any = type("HostileError", (base,), {name: property(refuse)})
    error: BaseException = kind("text", [KeyError("member")]) if base is ExceptionGroup else kind("text")
    BaseException.__dict__["__cause__"].__set__(error, OSError("cause"))

    def throw() -> None:
        raise error

    links = chain(caught(throw))
    assert "HostileError" in links[0].type
    assert links[0].message.startswith("text")
    assert links[0].frames[-1].function.endswith("throw")
    assert links[1] == Link("OSError", "cause", CAUSE, ())
    assert len(links) == (3 if base is ExceptionGroup else 2)


@pytest.mark.parametrize("error", [KeyError("x"), RecursionError(), ExceptionGroup("x", [OSError()]), None], ids=repr)
def test_an_exception_without_a_text_has_a_note_instead(error: Exception | None) -> None:
    def text(_: object) -> object:
        if error is not None:
            raise error
        return 7

    mute = type("MuteError", (Exception,), {"__str__": text, "__module__": "app"})()
    assert text_of(mute) == "<no text: app.MuteError.__str__ failed>"
    assert chain(mute)[0].message == text_of(mute)


def test_a_text_of_a_class_of_its_own_becomes_plain_text() -> None:
    text = type("Text", (str,), {"replace": refuse, "__format__": refuse})("odd")
    error = type("OddError", (Exception,), {"__str__": lambda _: text})()
    assert chain_of(error, clean=lambda text: text.replace("o", "0"))[0].message == "0dd"


def test_a_class_that_answers_for_itself_is_named_by_what_it_is() -> None:
    class Meta(type):
        def __getattribute__(cls, name: str) -> object:
            raise OSError("refused")

    error = Meta("MetaError", (Exception,), {"__module__": "app"})("text")
    assert told(error) == [("app.MetaError", "raised")]


def test_what_only_says_that_it_is_an_exception_is_told_by_its_text() -> None:
    (link,) = chain(Mock(spec=ValueError, __str__=lambda _: "mocked"))
    assert (link.message, link.frames) == ("mocked", ())


def test_frames_of_what_wraps_a_call_are_left_out(registry: Registry) -> None:
    operation = Operations(registry, lambda error, *, component: None, "part").operation("work")
    (link,) = chain(caught(operation(fail)))
    assert [frame.function for frame in link.frames] == ["caught", "fail"]
    assert link.omitted == 0


def test_frames_that_are_left_out_are_not_counted_as_omitted(registry: Registry) -> None:
    @Operations(registry, lambda error, *, component: None, "part").operation("dive")
    def measured(depth: int) -> None:
        if depth:
            measured(depth - 1)
        fail()

    (link,) = chain(caught(functools.partial(measured, 100)))
    assert (len(link.frames), link.omitted) == (MOST_FRAMES, 103 - MOST_FRAMES)
    (link,) = chain(caught(functools.partial(measured, 50)))
    assert (len(link.frames), link.omitted) == (53, 0)


def test_frames_of_coroutines_and_generators_are_told_as_those_of_functions() -> None:
    def numbers() -> Any:
        fail()
        yield 1

    async def work() -> None:
        await asyncio.sleep(0)
        list(numbers())

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(work())

    group, member = chain(caught(lambda: asyncio.run(main())))
    assert (group.type, member.type) == ("ExceptionGroup", "ValueError")
    assert [frame.function.rpartition(".")[2] for frame in member.frames] == ["work", "numbers", "fail"]


LIBRARY = str(Path(os.__file__).parent)


@pytest.mark.parametrize(
    ("module", "file", "in_app"),
    [
        ("shop.cart", "/srv/shop/cart.py", True),
        ("shop.cart", "shop/cart.py", True),
        ("shop", "<string>", True),
        ("__main__", "<stdin>", True),
        # virtual environments and system packages, also of a project that holds its environment
        ("httpx._client", "/srv/shop/.venv/lib/python3.12/site-packages/httpx/_client.py", False),
        ("yaml", "/usr/lib/python3/dist-packages/yaml/__init__.py", False),
        ("requests.api", r"C:\shop\.venv\Lib\site-packages\requests\api.py", False),
        ("shop.cart", r"C:\shop\src\shop\cart.py", True),
        # projects in places with names like those
        ("shop", f"{LIBRARY}/shop/__init__.py", True),
        ("shop", f"{sys.prefix}/src/shop.py", True),
        ("shop", "/srv/my-site-packages/shop.py", True),
        ("shop", "/srv/site-packages.py", True),
        # Python's own, and a project's modules of the same names
        ("json.decoder", f"{LIBRARY}/json/decoder.py", False),
        ("importlib._bootstrap", "<frozen importlib._bootstrap>", False),
        ("json.decoder", "json/decoder.py", False),
        ("code", "/srv/shop/code.py", True),
        # zip files
        ("shop.cart", "/srv/shop.pyz/shop/cart.py", True),
        # our own
        ("otel_monitoring.metrics.registry", "/srv/otel_monitoring/metrics/registry.py", False),
        ("otel_monitoring.cli.example_system", "/srv/otel_monitoring/cli/example_system.py", True),
        ("otel_monitoring_tests", "/srv/otel_monitoring_tests.py", True),
        ("", "", True),
    ],
)
def test_the_applications_own_code_is_told_by_where_it_is(module: str, file: str, in_app: bool) -> None:
    frame = last_frame(made("1 / 0", file, __name__=module))
    assert (frame.module, frame.file, frame.in_app) == (module, file, in_app)


@pytest.mark.parametrize(("file", "in_app"), [("/srv/shop.py", True), ("/srv/site-packages/attr/_make.py", False)])
def test_code_made_from_text_belongs_to_where_its_module_is(file: str, in_app: bool) -> None:
    assert last_frame(made("1 / 0", "<string>", __file__=file)).in_app is in_app


def test_code_in_no_module_has_frames_too() -> None:
    for name in (None, 7):
        assert last_frame(made("1 / 0", __name__=name)).module == "<no module>"


def test_a_file_whose_name_is_no_utf8_can_be_stored() -> None:
    frame = last_frame(made("1 / 0", "/srv/\udcff.py"))
    assert frame.file.encode() == rb"/srv/\udcff.py"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a package, a namespace package and a zip file, all of which fail where they are run."""
    for file in ("pkg/__init__.py", "pkg/sub/__init__.py"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    (tmp_path / "space").mkdir()
    for file in ("pkg/sub/mod.py", "pkg/__main__.py", "space/mod.py", "script.py"):
        (tmp_path / file).write_text("def run():\n    1 / 0\n\nrun()\n")
    with zipfile.ZipFile(tmp_path / "app.pyz", "w") as archive:
        archive.write(tmp_path / "script.py", "__main__.py")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["__main__", "__mp_main__", "pkg.sub.mod"])
def test_a_module_has_one_name_however_it_was_started(project: Path, name: str) -> None:
    as_module = caught(lambda: runpy.run_module("pkg.sub.mod", run_name=name))
    as_file = caught(lambda: runpy.run_path(str(project / "pkg/sub/mod.py"), run_name=name))
    assert {last_frame(error).module for error in (as_module, as_file)} == {"pkg.sub.mod"}


def test_a_package_that_was_started_is_named_by_its_main_module(project: Path) -> None:
    as_package = caught(lambda: runpy.run_module("pkg", run_name="__main__"))
    as_folder = caught(lambda: runpy.run_path(str(project / "pkg"), run_name="__main__"))
    as_file = caught(lambda: runpy.run_path(str(project / "pkg/__main__.py"), run_name="__main__"))
    assert {last_frame(error).module for error in (as_package, as_folder, as_file)} == {"pkg.__main__"}
    as_zip = caught(lambda: runpy.run_path(str(project / "app.pyz"), run_name="__main__"))
    assert last_frame(as_zip).module == "app.__main__"


def test_a_script_outside_of_packages_is_named_by_its_file(project: Path) -> None:
    assert (
        last_frame(caught(lambda: runpy.run_path(str(project / "script.py"), run_name="__main__"))).module == "script"
    )
    # Of a folder without an __init__.py only an import knows that it is a package.
    assert last_frame(caught(lambda: runpy.run_module("space.mod", run_name="__main__"))).module == "space.mod"
    assert (
        last_frame(caught(lambda: runpy.run_path(str(project / "space/mod.py"), run_name="__main__"))).module == "mod"
    )


def test_what_was_typed_in_has_no_other_name() -> None:
    assert last_frame(made("1 / 0", "<stdin>", __name__="__main__", __spec__=None)).module == "__main__"
    assert last_frame(made("1 / 0", __name__="__main__", __spec__=7, __file__="\0/x.py")).module == "x"


def test_one_code_object_in_two_modules_is_told_apart() -> None:
    code = compile("1 / 0", "<made>", "exec")
    for _ in range(2):
        for name in ("first", "second"):
            error = caught(functools.partial(exec, code, {"__name__": name}))
            assert last_frame(error).module == name


def test_equal_code_in_two_files_is_told_apart() -> None:
    assert [last_frame(made("1 / 0", file)).file for file in ("/srv/a.py", "/srv/b.py")] == ["/srv/a.py", "/srv/b.py"]


class Thing:
    """Something that can be watched."""


def test_nothing_of_an_exception_is_kept_alive() -> None:
    def work() -> None:
        thing = Thing()
        watched.append(weakref.ref(thing))
        fail()

    watched: list[weakref.ref[Thing]] = []
    links = chain_of(caught(work), clean=str, clean_locals=names_of)
    gc.collect()
    assert links
    assert watched[0]() is None


def test_what_is_remembered_of_code_is_bounded() -> None:
    code = compile("1 / 0", "<made>", "exec")
    watched = weakref.ref(code)
    chain(caught(functools.partial(exec, code, {})))
    for number in range(MOST_KNOWN):
        chain(caught(functools.partial(exec, code.replace(co_firstlineno=number + 1), {})))
    del code
    assert watched() is None


@pytest.mark.threads
def test_threads_that_meet_new_code_at_once_all_tell_it_rightly() -> None:
    codes = [compile(f"\n{'pass;' * number}1 / 0", f"/srv/{number}.py", "exec") for number in range(50)]
    errors = [caught(functools.partial(exec, code, {"__name__": f"m{at}"})) for at, code in enumerate(codes)]

    def tell(_: int) -> list[tuple[str, str, int]]:
        frames = [last_frame(error) for _ in range(20) for error in errors]
        return [(frame.module, frame.file, frame.line) for frame in frames]

    expected = [(f"m{number}", f"/srv/{number}.py", 2) for number in range(50)] * 20
    with ThreadPoolExecutor(8) as pool:
        assert all(frames == expected for frames in pool.map(tell, range(8)))


PRINTED = {
    "plain": "def f():\n  raise ValueError('text')\nf()",
    "without a text": "raise ValueError",
    "several lines": "raise ValueError('first\\nsecond')",
    "a class of a module": "class FaultError(Exception): pass\nraise FaultError('text')",
    "cause": "try:\n  1 / 0\nexcept ZeroDivisionError as error:\n  raise ValueError('text') from error",
    "context": "try:\n  1 / 0\nexcept ZeroDivisionError:\n  raise ValueError('text')",
    "suppressed": "try:\n  1 / 0\nexcept ZeroDivisionError:\n  raise ValueError('text') from None",
    "cause of a context": """
try:
  try: 1 / 0
  except ZeroDivisionError as error: raise KeyError('x') from error
except KeyError:
  raise ValueError('text')
""",
    "notes": "error = ValueError('text')\nerror.add_note('a note\\nof two lines')\nraise error",
    "recursion": "def f(n):\n  if n: f(n - 1)\n  1 / 0\nf(30)",
    "recursion by one too many": "def f(n):\n  if n: f(n - 1)\n  1 / 0\nf(4)",
    "group": "raise ExceptionGroup('g', [ValueError('a'), KeyError('b')])",
    "group with frames in its members": """
def f():
  raise ValueError('a\\nb')
try: f()
except ValueError as error: raise ExceptionGroup('g', [error, TypeError()]) from None
""",
    "nested groups": """
inner = ExceptionGroup('inner', [KeyError('a'), ExceptionGroup('innermost', [OSError('b')])])
raise ExceptionGroup('outer', [inner, ValueError('c')])
""",
    "group that ends with a group": "raise ExceptionGroup('g', [OSError('a'), ExceptionGroup('h', [KeyError('b')])])",
    "member with a cause": """
error = ValueError('a')
error.__cause__ = KeyError('b')
raise ExceptionGroup('g', [error, TypeError('c')])
""",
    "group with a cause": "raise ExceptionGroup('g', [ValueError('a')]) from KeyError('b')",
    "group as a cause": "raise ValueError('a') from ExceptionGroup('g', [ValueError('b'), KeyError('c')])",
    "group as the cause of a group": """
raise ExceptionGroup('g', [ValueError('a')]) from ExceptionGroup('h', [KeyError('b'), OSError('c')])
""",
    "group that was never raised": "raise OSError from ExceptionGroup('g', [ExceptionGroup('h', [OSError()])])",
}


@pytest.mark.parametrize("source", PRINTED.values(), ids=PRINTED.keys())
def test_the_text_of_a_chain_is_what_python_prints(source: str) -> None:
    error = made(source)
    assert error.__traceback__ is not None
    # Our own frames stand in a file, so that Python would print their lines of code.
    error.__traceback__ = error.__traceback__.tb_next and error.__traceback__.tb_next.tb_next
    for link in (error.__cause__, error.__context__):
        assert link is None or link.__traceback__ is None or link.__traceback__.tb_frame.f_code.co_filename == "<made>"
    assert text(error) == "".join(traceback.format_exception(error))


def test_the_text_tells_lines_of_code_where_they_are_known() -> None:
    payload = payload_of(chain(caught(fail))[0])
    payload["frames"][-1]["source"] = "raise ValueError(message)"
    assert format_chain([payload]).endswith(", in fail\n    raise ValueError(message)\nValueError: failed\n")


def test_the_text_tells_how_many_calls_were_left_out() -> None:
    lines = text(caught(lambda: dive(200))).splitlines()
    place = f'  File "{__file__}", line {dive.__code__.co_firstlineno + 2}, in dive'
    assert lines[3:12] == [
        *[place] * 3,
        "  [Previous line repeated 11 more times]",
        "  [140 more calls, left out]",
        *[place] * 3,
        "  [Previous line repeated 43 more times]",
    ]


def test_the_text_of_no_chain_is_empty() -> None:
    assert not format_chain([])


TEXTS = st.text(max_size=10)
EXCEPTIONS: st.SearchStrategy[BaseException] = st.recursive(
    st.builds(ValueError, TEXTS | st.integers() | st.binary(max_size=10)) | st.builds(KeyError, TEXTS, st.none()),
    lambda inner: st.builds(BaseExceptionGroup, TEXTS, st.lists(inner, min_size=1, max_size=3)),
    max_leaves=8,
)
NUMBERS = st.integers(0, 4)


@given(st.lists(EXCEPTIONS, min_size=5, max_size=5), st.lists(st.tuples(NUMBERS, NUMBERS, st.booleans()), max_size=10))
def test_any_web_of_exceptions_has_a_chain_and_a_text(
    exceptions: Sequence[BaseException], joints: Sequence[tuple[int, int, bool]]
) -> None:
    for at, to, is_cause in joints:
        setattr(exceptions[at], "__cause__" if is_cause else "__context__", exceptions[to])
    links = chain(exceptions[0])
    assert 1 <= len(links) <= MOST_LINKS
    assert [link.relation for link in links].count(RAISED) == 1
    printed = text(exceptions[0])
    assert all(f"{link.type}" in printed for link in links)
