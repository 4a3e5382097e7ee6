"""Reads secrets that the configuration names but does not hold."""

from pathlib import Path

from tandem_contract.config import SecretFile


class SecretError(Exception):
    """The secret cannot be read; the message names its file and never its content."""


def read_secret(secret: SecretFile) -> str:
    """Return the secret without the white space around it. Raises `SecretError`."""
    path = secret_path(secret)
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SecretError(f"{path} cannot be read: {type(error).__name__}") from None
    if not text:
        raise SecretError(f"{path} is empty")
    return text


def secret_path(secret: SecretFile) -> Path:
    """Return the secret's file, which need not exist. Raises `SecretError`.

    A folder, which is how Kubernetes mounts a whole Secret, must hold one file.
    """
    if secret.file is None:
        raise SecretError("no file is named; set `file`")
    path = Path(secret.file)
    try:
        return _only_file(path) if path.is_dir() else path
    except OSError as error:
        raise SecretError(f"{path} cannot be read: {type(error).__name__}") from None


def _only_file(folder: Path) -> Path:
    files = [path for path in folder.iterdir() if not path.name.startswith("..")]
    if len(files) != 1:
        raise SecretError(f"{folder} holds {len(files)} files instead of one; name a key of the Secret")
    return files[0]
