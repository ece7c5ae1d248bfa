"""The documentation: every public thing has a manual page, and its examples run."""

import doctest
import inspect
from typing import Any

import pytest

import kvraft
import kvraft.aio

MODULES: list[Any] = [kvraft, kvraft.aio]
PUBLIC: dict[str, Any] = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in MODULES
    for name in module.__all__
    if not name.startswith("__")
}
ALIASES = {"kvraft.Consistency", "kvraft.OpResult", "kvraft.WatchEvent"}


@pytest.mark.parametrize("name", sorted(set(PUBLIC) - ALIASES))
def test_a_public_thing_says_what_it_is(name: str) -> None:
    thing = PUBLIC[name]
    assert inspect.getdoc(thing), name
    if inspect.isclass(thing):
        for method, value in vars(thing).items():
            if not method.startswith("_") and (callable(value) or isinstance(value, property)):
                assert inspect.getdoc(value), f"{name}.{method}"


@pytest.mark.parametrize("name", [*PUBLIC, "kvraft", "kvraft.aio"])
def test_the_examples_run(name: str) -> None:
    thing = PUBLIC[name] if name in PUBLIC else MODULES[name != "kvraft"]
    module: Any = False  # Any object is looked at, wherever it was defined.
    runner = doctest.DocTestRunner()
    for test in doctest.DocTestFinder(recurse=inspect.isclass(thing)).find(
        thing, name, module=module, globs={}
    ):
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0


def test_help_of_a_verb_is_a_manual_page() -> None:
    page = str(inspect.getdoc(kvraft.ReplicatedMap.put))
    for part in ("Args:", "if_revision", "ttl", "timeout", "Raises:", "IndeterminateError", ">>>"):
        assert part in page
    assert page in str(inspect.getdoc(kvraft.aio.ReplicatedMap.put))


def test_what_users_see_is_called_by_its_public_name() -> None:
    for name, thing in PUBLIC.items():
        if inspect.isclass(thing) or inspect.isfunction(thing):
            assert f"{thing.__module__}.{thing.__qualname__}" == name
