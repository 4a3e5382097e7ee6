"""`tasksFrom`: tasks in files, and in folders of them."""

from pathlib import Path

import pytest
from tandem_orchestrator.config import ConfigError, Source

TASK = "{name: %s, prompt: '{{ a }}', input: {properties: {a: {type: string}}}, output: {type: object}}"
TICKETS = Path(__file__).parents[4] / "examples/tasks/tickets.yaml"


def tasks(*names):
    return "tasks:\n" + "".join(f"  - {TASK % name}\n" for name in names)


@pytest.fixture
def source(file):
    def make(*sources, own=()):
        text = (
            f"upstreams: [{{name: a, url: 'http://a'}}]\n{tasks(*own) if own else ''}tasksFrom: [{', '.join(sources)}]"
        )
        return Source(file(text), {})

    return make


def problems(source):
    with pytest.raises(ConfigError) as refused:
        source.load()
    return list(refused.value.problems)


def test_all_of_them_come_together_in_order(source, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "b.yaml").write_text(tasks("b"))
    (folder / "a.yaml").write_text(tasks("a"))
    (folder / "notes.txt").write_text("no: tasks")
    (folder / "empty.yaml").touch()
    single = tmp_path / "single"
    single.write_text(tasks("c"))
    config = source(f"{{file: {folder}}}", f"{{file: {single}}}", own=["own"]).load()
    assert [task.name for task in config.tasks] == ["own", "a", "b", "c"]


def test_the_example_is_one_with_anchors(source):
    config = source(f"{{file: {TICKETS}}}").load()
    first, second = config.tasks
    assert (first.path, second.path) == ("/analyze-ticket", "/generate-response")
    assert second.input["properties"]["analysis"] == first.output


def test_a_change_of_any_of_them_is_seen(source, tmp_path):
    for generation in ("1", "2"):
        (tmp_path / generation).mkdir()
        (tmp_path / generation / "a.yaml").write_text(tasks("a"))
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    (tmp_path / "..data").symlink_to("1")
    (mounted / "a.yaml").symlink_to(tmp_path / "..data/a.yaml")
    found = source(f"{{file: {mounted}}}")
    found.load()
    assert not found.changed()
    swapped = tmp_path / "..data_tmp"
    swapped.symlink_to("2")
    swapped.replace(tmp_path / "..data")
    assert found.changed()
    found.load()
    assert not found.changed()
    (mounted / "b.yaml").write_text("tasks: [")
    assert found.changed()
    assert [line.partition(" (")[0] for line in problems(found)] == [f"{mounted}/b.yaml: not YAML"]
    assert not found.changed()
    (mounted / "b.yaml").unlink()
    assert found.changed()
    assert [task.name for task in found.load().tasks] == ["a"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("tasks: {}", "tasks: Input should be a valid list"),
        ("[]", "expected `tasks:` with a list, found list"),
        ("task: []", "task: there is no such setting"),
        (tasks("a").replace("a }}", "b }}"), "tasks.0.prompt: the input has no property 'b'"),
        (tasks("a").replace("a }}", "a.__class__ }}"), "tasks.0.prompt: line 1: `__class__` cannot be used"),
        (tasks("a", "own"), "tasks.1.version: version '1' of 'own' stands at tasks.0 already"),
        ("tasks: &a [*a]", "values, or some that hold themselves"),
        ("tasks: " + "[" * 100_000, "nested deeper than 128 levels"),
        (
            "a: &a [1, 2]\n"
            + "".join(f"b{n}: &b{n} [*{f'b{n - 1}' if n else 'a'}, *{f'b{n - 1}' if n else 'a'}]\n" for n in range(40)),
            "more than 100000 values",
        ),
        ("x: " + "y" * 1_100_000, "more than 1048576 bytes"),
        ("tasks: [" + TASK % "a" + ", {name: b}]", "tasks.1.prompt: Field required"),
        (b"\xff\xfe\xff", "not YAML"),
        ("tasks: [2026-11-30]", "JSON has not, a date"),
    ],
    ids=range(13),
)
def test_what_is_wrong_is_named_with_its_file(source, tmp_path, text, problem):
    path = tmp_path / "tasks.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    found = problems(source(f"{{file: {path}}}", own=["own"]))
    assert found[0].startswith(f"{path}: ")
    assert problem in found[0]


def test_what_names_no_file(source, tmp_path):
    found = problems(source("{}", "{configMapName: tickets}", f"{{file: {tmp_path}/absent.yaml}}"))
    assert [line.partition(":")[0] for line in found] == [
        "tasksFrom.0",
        "tasksFrom.1",
        f"{tmp_path}/absent.yaml cannot be read",
    ]
