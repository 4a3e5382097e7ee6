"""Keys in YAML files, which are read again when they change: Secrets of Kubernetes, or files on a disk."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Annotated, Final

from pydantic import Field, SecretStr, StringConstraints, TypeAdapter, ValidationError, model_validator
from pydantic_core import ErrorDetails
from tandem_contract.config import SecretFile

from tandem_orchestrator.auth.api_key import MAX_LENGTH, ApiKey, digest_of, id_of, is_well_formed
from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.auth.terms import Label, Terms
from tandem_orchestrator.config.yaml_text import YamlError
from tandem_orchestrator.config.yaml_text import parse as parse_yaml

HASH: Final = "sha256:"


class Entry(Terms):
    """One key of a file."""

    key: SecretStr | None = None
    """The key itself; or else its hash."""
    hash: Annotated[str, StringConstraints(pattern=r"^(sha256:)?[0-9a-f]{64}$")] | None = Field(
        default=None, repr=False
    )
    """SHA-256 of the key, in hexadecimal digits."""
    tenant: Label | None = None
    """Whom the key is for. Default: the key's name, so that it is a tenant of its own."""

    @model_validator(mode="after")
    def _has_one_secret(self) -> "Entry":
        if (self.key is None) == (self.hash is None):
            raise ValueError("write either `key` or `hash`")
        if self.key is not None:
            key = self.key.get_secret_value().encode()
            if not 0 < len(key) <= MAX_LENGTH or not is_well_formed(key):
                raise ValueError(f"`key` must be 1 to {MAX_LENGTH} visible ASCII characters without spaces")
        return self

    def read(self) -> ApiKey:
        """Return the key as it is kept."""
        if self.key is not None:
            digest = digest_of(self.key.get_secret_value())
        else:
            digest = bytes.fromhex((self.hash or "").removeprefix(HASH))
        name = self.name or id_of(digest)
        principal = Principal(
            name,
            self.tenant or name,
            self.limits,
            frozenset(self.models) if self.models is not None else None,
            frozenset(self.tools) if self.tools is not None else None,
        )
        return ApiKey(digest, principal, self.expires.timestamp() if self.expires else None)


ENTRIES: Final = TypeAdapter(list[Entry])


class KeyFileError(Exception):
    """The file cannot be used; the message says where and why, and quotes nothing of it."""


@dataclass(slots=True)
class KeyFile:
    """A file as it was read last."""

    path: Path
    seen: tuple[int, int, int] | None = None
    keys: list[ApiKey] = field(default_factory=list)
    problem: str | None = None

    def look(self) -> None:
        """Read the file if it changed; while it is broken, its former keys stay."""
        try:
            found = self.path.stat()
            seen = (found.st_mtime_ns, found.st_ino, found.st_size)
            if seen != self.seen:
                self.keys, self.problem = parse(self.path.read_bytes()), None
                self.seen = seen
        except OSError as error:
            self.seen, self.problem = None, f"{self.path} cannot be read: {error.strerror}"
        except KeyFileError as error:
            self.seen, self.problem = seen, f"{self.path}: {error}"


class KeyFiles:
    """All files, and those in folders. `look` blocks: let a thread do it."""

    def __init__(self, files: Iterable[SecretFile]) -> None:
        self._files: dict[str, dict[Path, KeyFile]] = {}
        self._looking = Lock()
        self.keys: dict[bytes, ApiKey] = {}
        """By digest."""
        self.problems: list[str] = []
        """What is wrong with the files now."""
        self.update(files)

    def update(self, files: Iterable[SecretFile]) -> None:
        """Read these files from now on, or those in them where they are folders."""
        with self._looking:
            self._files = {secret.file: self._files.get(secret.file, {}) for secret in files if secret.file is not None}
        self.look()

    def look(self) -> bool:
        """Read what has changed; true if that makes a difference. What cannot be read stays as it was."""
        with self._looking:
            return self._look()

    def _look(self) -> bool:
        problems = []
        for source, files in self._files.items():
            try:
                self._files[source] = {path: files.get(path) or KeyFile(path) for path in _listed(Path(source))}
            except OSError as error:
                problems.append(f"{source} cannot be read: {error.strerror}")
                continue
            for file in self._files[source].values():
                file.look()
        read = [file for files in self._files.values() for file in files.values()]
        keys, doubles = _merged(read)
        problems += [file.problem for file in read if file.problem is not None] + doubles
        changed = keys != self.keys or problems != self.problems
        self.keys, self.problems = keys, problems
        return changed


def _merged(files: Iterable[KeyFile]) -> tuple[dict[bytes, ApiKey], list[str]]:
    """Return keys by digest; and a sentence for each that is there already, under the same name or another."""
    keys: dict[bytes, ApiKey] = {}
    problems = []
    known: dict[str | bytes, Path] = {}
    for file in files:
        for key in file.keys:
            name = key.principal.key_id
            if other := known.get(name) or known.get(key.digest):
                problems.append(f"{file.path}: the key {name}, or another of that name, is in {other} already")
            else:
                keys[key.digest] = key
                known[name] = known[key.digest] = file.path
    return keys, problems


def parse(text: bytes) -> list[ApiKey]:
    """Return the keys that a file lists. Raises `KeyFileError`."""
    try:
        data = parse_yaml(text)
    except YamlError as error:
        raise KeyFileError(f"this is {error}") from None
    if data is None:  # a file that is being written is empty at first; who wants no keys writes []
        raise KeyFileError("the file is empty; write [] for no keys")
    try:
        return [entry.read() for entry in ENTRIES.validate_python(data)]
    except ValidationError as error:
        raise KeyFileError("; ".join(map(_sentence, error.errors(include_input=False, include_url=False)))) from None


def _sentence(problem: ErrorDetails) -> str:
    number, *path = problem["loc"] or (None,)
    if problem["type"] == "extra_forbidden" and not str(path[-1]).isalpha():
        path = ["a field"]  # no misspelt name, but perhaps a key written as one
    where = ": ".join(([f"key {number + 1}"] if isinstance(number, int) else []) + [str(part) for part in path])
    return f"{where}: {problem['msg']}" if where else problem["msg"]


def _listed(path: Path) -> list[Path]:
    try:
        return sorted(file for file in path.iterdir() if not file.name.startswith(".") and file.is_file())
    except NotADirectoryError:
        return [path]
