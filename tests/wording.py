"""The wording of i2i's messages: tests assert the values that a message names, ``messages.toml`` holds the wording.

A message that differs from ``messages.toml`` fails its test. ``make test ARGS="--update-wording"`` accepts new wording
and removes the messages of tests that no longer exist; review the diff before you commit it.
"""

from __future__ import annotations

import json
import re
import socket
import sysconfig
import tomllib
from collections import defaultdict
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest

from tests.shared import SHARED

SNAPSHOT = Path(__file__).with_name("messages.toml")
ROOT = SNAPSHOT.parents[1]
REMEDY = 'Accept it with make test ARGS="--update-wording", and review the diff of tests/messages.toml.'
HEADER = (
    '# The messages of i2i, by test and number. Written by make test ARGS="--update-wording"; see tests/wording.py.\n'
)

MACHINE = {
    str(SHARED.resolve()): "<shared>",
    sysconfig.get_path("purelib"): "<site>",
    str(ROOT): "<root>",
    str(Path.home()): "<home>",
}
"""Folders of this machine, and their placeholders."""

VOLATILE = {
    r"(<session>/[^\s/]*?)\d+\b": r"\1",
    r"\b(127\.0\.0\.1|localhost):\d+": r"\1:<port>",
    r"\b0x[0-9a-f]{6,}\b": "<address>",
    r"\b[0-9a-f]{16,}\b": "<hash>",
    r"\bprocess \d+\b": "process <pid>",
    r"\bpid \d+\b": "pid <pid>",
    rf"\b{re.escape(socket.gethostname())}\b": "<host>",
    r"\bi2i \d+\.\d+\.\d+\w*": "i2i <version>",
    r"\b\d+ bytes not processed": "<count> bytes not processed",
    r"\bAvailable names are: [^.]*\.": "Available names are: <names>.",
    r"\bPlugin '\d+'": "Plugin '<id>'",
    r" {2,}": " ",
}
"""Patterns of other text that differs between machines or runs, and its replacements."""

Messages = dict[str, list[str]]
"""The messages of each test in their order, by the id of the test."""

_SNAPSHOT: ContextVar[Snapshot] = ContextVar("_SNAPSHOT")


@contextmanager
def refused(
    error: type[BaseException], *values: object, varies: str | None = None
) -> Iterator[pytest.ExceptionInfo[BaseException]]:
    """Assert that the block raises ``error``, that its message names each value, and that its wording is unchanged.

    Args:
        error: The class.
        values: What the message must name: what was wrong, where, and the option or command that helps.
        varies: A pattern of text that may differ between machines, such as another library's message.
    """
    __tracebackhide__ = True
    with pytest.raises(error) as caught:
        yield caught
    mentions(str(caught.value), *values)
    check(f"{type(caught.value).__name__}: {caught.value}", varies=varies)


def mentions(message: str, *values: object) -> None:
    """Assert that each value occurs in a message, not only as part of a longer word or number."""
    __tracebackhide__ = True
    missing = [str(value) for value in values if not _mentioned(value, message)]
    assert not missing, f"not in the message: {', '.join(missing)}\n{message}"


def check_line(text: str, *values: object, varies: str | None = None) -> None:
    """Assert that exactly one line names all the values, and that its wording is unchanged, except what ``varies``."""
    __tracebackhide__ = True
    lines = [line for line in text.splitlines() if all(_mentioned(value, line) for value in values)]
    assert len(lines) == 1, f"{len(lines)} lines mention {values}:\n{text}"
    check(lines[0], varies=varies)


def check(message: str, *values: object, varies: str | None = None) -> None:
    """Assert that a message names each value and its wording is unchanged, except for text that matches ``varies``."""
    __tracebackhide__ = True
    mentions(message, *values)
    _SNAPSHOT.get().check(re.sub(varies, "<varies>", message) if varies else message)


def normal(message: str, places: dict[str, str]) -> str:
    """Replace text that differs between machines or runs by placeholders; ``places`` are the test's folders."""
    places = places | MACHINE
    for place in sorted(places, key=len, reverse=True):
        message = message.replace(place, places[place])
    for pattern, replacement in VOLATILE.items():
        message = re.sub(pattern, replacement, message)
    return message


def _mentioned(value: object, message: str) -> bool:
    before = r"(?<!\w)" if re.match(r"\w", str(value)) else ""
    after = r"(?!\w)" if re.search(r"\w$", str(value)) else ""
    return bool(re.search(before + re.escape(str(value)) + after, message))


class Snapshot:
    """The known messages of all tests, and the messages of the tests that passed in this session."""

    def __init__(self, known: Messages, update: bool = False) -> None:
        self.known = known
        self.update = update
        self.passed: Messages = {}
        self.collected: set[str] = set()
        self.whole = True
        self.begin("", {})

    def begin(self, test: str, places: dict[str, str]) -> None:
        """Start recording the messages of a test, whose folders are ``places``."""
        self.test, self.places = test, places
        self.recorded: list[str] = []

    def check(self, message: str) -> None:
        """Record the test's next message, and assert that it is the known one."""
        self.recorded.append(normal(message, self.places))
        number, now = len(self.recorded), self.recorded[-1]
        before = now if self.update else "".join(self.known.get(self.test, [])[number - 1 : number])
        if now != before:
            pytest.fail(f"The wording is new. {REMEDY}\nbefore: {before or 'none'}\nnow:    {now}")

    def end(self) -> None:
        """Assert that the test, which otherwise passed, produced every known message."""
        missing = [] if self.update else self.known.get(self.test, [])[len(self.recorded) :]
        if missing:
            pytest.fail(f"These messages are missing: {missing}. {REMEDY}")
        self.passed[self.test] = self.recorded

    def stale(self) -> set[str]:
        """Return the known tests that no longer exist, among missing files and completely collected ones."""
        files = {file_of(test) for test in self.collected if self.whole}
        return {
            test
            for test in self.known
            if (file_of(test) in files and test not in self.collected) or not (ROOT / "tests" / file_of(test)).exists()
        }

    def updated(self) -> Messages:
        """Return the known messages, with those of passed tests updated and those of stale tests removed."""
        both = self.known | self.passed
        return {test: messages for test, messages in both.items() if messages and test not in self.stale()}


def file_of(test: str) -> str:
    """Return the path, below tests/, of a test's file."""
    return test.split("::")[0]


def read(path: Path) -> Messages:
    """Read a snapshot."""
    messages: Messages = defaultdict(list)
    for file, table in tomllib.loads(path.read_text() if path.exists() else "").items():
        for key, message in table.items():
            messages[f"{file}::{key.rpartition(' ')[0]}"].append(message)
    return dict(messages)


def write(path: Path, messages: Messages) -> None:
    """Write a snapshot: one table per test file, one line per message."""
    lines, file = [HEADER], ""
    for test in sorted(messages):
        if file != (file := file_of(test)):
            lines.append(f'\n["{file}"]\n')
        name = test.partition("::")[2]
        lines += [f"{_quoted(f'{name} {n}')} = {_quoted(text)}\n" for n, text in enumerate(messages[test], 1)]
    path.write_text("".join(lines))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


@pytest.fixture(autouse=True)
def _recording(request: pytest.FixtureRequest, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    places = {str(tmp_path): "<tmp>", str(tmp_path_factory.getbasetemp()): "<session>"}
    _SNAPSHOT.get().begin(_id(request.node), places)


@pytest.fixture
def snapshot() -> Snapshot:
    """The snapshot of this session."""
    return _SNAPSHOT.get()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--update-wording``."""
    parser.addoption(
        "--update-wording", action="store_true", help="Accept the current wording: write tests/messages.toml."
    )


def pytest_configure(config: pytest.Config) -> None:
    """Read the known messages."""
    snapshot = Snapshot(read(SNAPSHOT), config.getoption("--update-wording"))
    snapshot.whole = not config.getoption("lf", False) and not any("::" in argument for argument in config.args)
    _SNAPSHOT.set(snapshot)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name a case by the values in its list, not by its number, which changes with other cases."""
    if isinstance(val, list | tuple) and all(isinstance(part, str | int) for part in val):
        return " ".join(map(str, val)) or "none"
    return None


def pytest_itemcollected(item: pytest.Item) -> None:
    """Note that a test exists."""
    _SNAPSHOT.get().collected.add(_id(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, None, None]:
    """Finish the record of a test that passed."""
    yield
    _SNAPSHOT.get().end()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the snapshot, or hand the record of a worker to the process that writes it."""
    snapshot = _SNAPSHOT.get()
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["wording"] = snapshot.passed, sorted(snapshot.collected)
    elif snapshot.update:
        write(SNAPSHOT, snapshot.updated())


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over the record of a pytest-xdist worker."""
    passed, collected = getattr(node, "workeroutput", {}).get("wording", ({}, []))
    _SNAPSHOT.get().passed |= passed
    _SNAPSHOT.get().collected |= set(collected)


def _id(item: pytest.Item) -> str:
    return item.nodeid.removeprefix("tests/")
