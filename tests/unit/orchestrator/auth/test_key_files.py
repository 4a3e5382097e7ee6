"""Files of keys: what may stand in them, and what happens when they change."""

import pytest
from tandem_contract.config import SecretFile
from tandem_orchestrator.auth.key_files import KeyFileError, KeyFiles, parse


def names(files):
    return sorted(key.principal.key_id for key in files.keys.values())


def named(*paths):
    return [SecretFile(file=str(path)) for path in paths]


def entry(name):
    return f"- {{name: {name}, key: tk-key-of-{name}}}\n"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the file is empty; write \\[\\] for no keys"),
        ("a: [", "not YAML \\(line 1, column 5\\)"),
        ("- key: *tk-secret", "not YAML"),
        ("- key: \x00", "not YAML"),
        ("key: tk-secret", "valid list"),
        ("- tk-secret", "key 1: Input should be a valid dictionary"),
        ("- key: 12345", "key 1: key: Input should be a valid string"),
        ("- name: a", "key 1: .*either `key` or `hash`"),
        ("- {key: tk-secret, hash: " + "a" * 64 + "}", "either `key` or `hash`"),
        ("- key: tk secret", "visible ASCII"),
        ("- key: tk-sécret", "visible ASCII"),
        ("- key: ''", "1 to 512"),
        ("- key: " + "x" * 513, "1 to 512"),
        ("- hash: tk-secret", "key 1: hash"),
        ("- {key: tk-secret, name: 'a b'}", "key 1: name"),
        ("- {key: tk-secret, requestsPerMinute: 0}", "key 1: requestsPerMinute: Input should be greater"),
        ("- {key: tk-secret, requestPerMinute: 5}", "key 1: requestPerMinute: Extra inputs"),
        ("- {key: tk-secret, models: []}", "key 1: models"),
        ("- key: !tk-secret", "not YAML \\(line 1, column 8\\)"),
        ("- key: !!int tk-secret", "not YAML"),
        ("- {key: tk-secret, expires: '0001-01-01T00:00:00+14:00'}", "key 1: expires"),
        ("- {key: tk-secret, expires: soon}", "key 1: expires"),
        ("- tk-secret: alice", "key 1: a field: Extra inputs"),
        ("- {key: a}\n- {key: tk-secret, tenant: ''}", "key 2: tenant"),
    ],
)
def test_what_is_wrong_is_said_with_its_place_and_without_the_key(text, problem):
    with pytest.raises(KeyFileError, match=problem) as caught:
        parse(text.encode())
    assert "secret" not in str(caught.value)
    assert "sécret" not in str(caught.value)


def test_no_keys_may_be_meant():
    assert parse(b"[]") == []


@pytest.fixture
def mount(tmp_path):
    """A mounted Secret: links to files in a folder that a link names, which is what changes."""
    mounted = tmp_path / "mounted"
    mounted.mkdir()

    def write(number, **files):
        data = mounted / f"..{number}"
        data.mkdir()
        for name, text in files.items():
            (data / name).write_text(text)
        (mounted / "..data_new").symlink_to(data.name)
        (mounted / "..data_new").rename(mounted / "..data")
        for link in [path for path in mounted.iterdir() if not path.name.startswith("..")]:
            link.unlink()
        for name in files:
            (mounted / name).symlink_to(f"..data/{name}")

    return write


def test_a_mounted_secret_that_changes(mount, tmp_path):
    mount(1, a=entry("alice"), b=entry("bob"))
    files = KeyFiles(named(tmp_path / "mounted"))
    assert names(files) == ["alice", "bob"]
    assert not files.look()
    mount(2, a=entry("alice") + entry("carol"))
    assert files.look()
    assert names(files) == ["alice", "carol"]


def test_a_broken_file_keeps_its_former_keys(mount, tmp_path):
    mount(1, a=entry("alice"), b=entry("bob"))
    files = KeyFiles(named(tmp_path / "mounted"))
    mount(2, a="- {name: alice", b=entry("barbara"))
    assert files.look()
    assert names(files) == ["alice", "barbara"]
    assert files.problems == [
        f"{tmp_path}/mounted/a: this is not YAML (line 1, column 15): expected ',' or '}}', but got '<stream end>'"
    ]
    assert not files.look()
    mount(3, a=entry("alex"), b=entry("barbara"))
    assert files.look()
    assert (names(files), files.problems) == (["alex", "barbara"], [])


def test_files_and_folders_that_vanish_keep_their_keys(mount, tmp_path):
    mount(1, a=entry("alice"))
    path = tmp_path / "keys.yaml"
    path.write_text(entry("bob"))
    files = KeyFiles(named(tmp_path / "mounted", path))
    path.unlink()
    (tmp_path / "mounted").rename(tmp_path / "elsewhere")
    assert files.look()
    assert names(files) == ["alice", "bob"]
    assert [problem.endswith("cannot be read: No such file or directory") for problem in files.problems] == [True, True]
    path.write_text(entry("bob"))
    (tmp_path / "elsewhere").rename(tmp_path / "mounted")
    assert files.look()
    assert files.problems == []


def test_a_name_or_key_that_is_there_twice_counts_once(tmp_path):
    (tmp_path / "a").write_text(
        entry("alice") + "- {name: alice, key: tk-other}\n- {name: bob, key: tk-key-of-alice}\n"
    )
    (tmp_path / "b").write_text(entry("alice") + entry("carol"))
    files = KeyFiles(named(tmp_path))
    assert names(files) == ["alice", "carol"]
    assert len(files.problems) == 3
    assert "the key alice" in files.problems[0]


def test_a_file_that_is_no_longer_named_is_forgotten(tmp_path):
    (tmp_path / "a").write_text(entry("alice"))
    files = KeyFiles(named(tmp_path / "a"))
    files.update([])
    assert files.keys == {}
