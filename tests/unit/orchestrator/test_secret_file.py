import pytest
from tandem_contract.config import SecretFile
from tandem_orchestrator.secret_file import SecretError, read_secret


def test_a_file(tmp_path):
    (tmp_path / "key").write_text("s3cret\n")
    assert read_secret(SecretFile(file=str(tmp_path / "key"))) == "s3cret"


def test_a_folder_with_one_file_as_kubernetes_mounts_it(tmp_path):
    data = tmp_path / "..2026_11_21"
    data.mkdir()
    (data / "key").write_text("s3cret")
    (tmp_path / "..data").symlink_to(data)
    (tmp_path / "key").symlink_to(tmp_path / "..data" / "key")
    assert read_secret(SecretFile(file=str(tmp_path))) == "s3cret"


@pytest.mark.parametrize(
    ("files", "named", "complaint"),
    [
        ({}, "key", "cannot be read: FileNotFoundError"),
        ({"key": ""}, "key", "is empty"),
        ({"a": "1", "b": "2"}, "", "holds 2 files"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, files, named, complaint):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(SecretError, match=complaint):
        read_secret(SecretFile(file=str(tmp_path / named)))


def test_a_secret_of_kubernetes_has_no_file_here():
    with pytest.raises(SecretError, match="set `file`"):
        read_secret(SecretFile(secret_name="keys"))
