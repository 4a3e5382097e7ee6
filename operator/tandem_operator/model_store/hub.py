"""The Hugging Face hub: what a commit holds, and the bytes of its files.

huggingface_hub brings the client with its proxies, the token, and the errors. Its own downloads are not used. As of
2.4.0 each attempt writes to a temporary file of a new name, so that a killed process begins its file anew and leaves
the old one on the volume; 429 is slept through where nobody can be told; and plain HTTP ends at 50 GB.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

import httpx2
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled
from huggingface_hub.hf_api import RepoSibling
from huggingface_hub.utils import build_hf_headers, get_session

from tandem_operator.api.source import HuggingFace
from tandem_operator.model_store import refusal
from tandem_operator.model_store.errors import PassingError, PermanentError
from tandem_operator.model_store.place import LATEST

LARGEST_ANSWER: Final = 4 << 30
"""Bytes that are asked for at once: links to the storage run out after an hour, and CDNs answer 50 GB at most."""

_PATIENCE: Final = 20.0
"""Seconds without a byte after which a connection counts as cut; a pod that is to end has 30 for all."""
_CHUNK: Final = 1 << 18
_RANGE: Final = re.compile(r"bytes (\d+)-")


@dataclass(frozen=True)
class RemoteFile:
    """A file of a commit."""

    path: str
    size: int
    digest: str
    """SHA-256 of what lies in LFS (64 digits), else the id of Git's blob (40 digits)."""


@dataclass(frozen=True)
class Commit:
    """What a revision stands for at the moment."""

    id: str
    files: tuple[RemoteFile, ...]


class Hub:
    """One repository of the hub that HF_ENDPOINT names, opened by HF_TOKEN."""

    def __init__(self, source: HuggingFace) -> None:
        self._source = source
        self._headers = build_hf_headers(library_name="tandem-operator", headers={"Accept-Encoding": "identity"})
        self._refused = partial(refusal.of, source, has_token="authorization" in self._headers)

    def commit(self, revision: str | None) -> Commit:
        """Return the commit of a revision, and its files; PassingError or PermanentError where the hub does not say."""
        name = self._source.repository
        try:
            info = HfApi().model_info(name, revision=revision or LATEST, timeout=_PATIENCE, files_metadata=True)
        except OfflineModeIsEnabled as error:
            raise PermanentError("Offline", "HF_HUB_OFFLINE is set, which keeps the hub from being asked") from error
        except HFValidationError as error:
            raise PermanentError("NotFound", f"model.source: the hub has no such names: {error}") from error
        except HfHubHTTPError as error:
            raise self._refused(error.response.status_code, error.response.headers) from error
        except httpx2.HTTPError as error:
            raise refusal.unreachable(error) from error
        except (KeyError, TypeError, ValueError) as error:
            raise PassingError("HubAway", f"{constants.ENDPOINT} does not answer as a hub does") from error
        if info.sha is None:
            raise PermanentError("NoMetadata", f"{constants.ENDPOINT} does not tell the commit of {name}; is it a hub?")
        return Commit(info.sha, tuple(map(_file, info.siblings or ())))

    def read(self, commit: str, file: RemoteFile, start: int) -> Iterator[tuple[int, bytes]]:
        """Yield bytes of a file and where each piece of them begins, which may be before `start`.

        At most LARGEST_ANSWER bytes come. PassingError or PermanentError ends it.
        """
        url = f"{constants.ENDPOINT}/{self._source.repository}/resolve/{commit}/{quote(file.path)}"
        headers = dict(self._headers)
        if start or file.size > LARGEST_ANSWER:
            headers["Range"] = f"bytes={start}-{min(start + LARGEST_ANSWER, file.size) - 1}"
        try:
            with get_session().stream("GET", url, headers=headers, timeout=_PATIENCE) as response:
                self._check(response)
                position = _begin(response)
                for chunk in response.iter_bytes(_CHUNK):
                    yield position, chunk
                    position += len(chunk)
        except httpx2.HTTPError as error:
            raise refusal.unreachable(error) from error

    def _check(self, response: httpx2.Response) -> None:
        if response.is_success:
            return
        if response.history and response.url.origin != response.history[0].url.origin:
            # a link to the storage that has run out is answered 403 there; the hub makes a new one
            raise refusal.of_storage(response.status_code, response.headers)
        raise self._refused(response.status_code, response.headers)


def _file(sibling: RepoSibling) -> RemoteFile:
    size, digest = sibling.size, sibling.lfs.sha256 if sibling.lfs else sibling.blob_id
    if size is None or digest is None:
        raise PermanentError("NoMetadata", f"{constants.ENDPOINT} does not tell size and digest of {sibling.rfilename}")
    return RemoteFile(sibling.rfilename, size, digest)


def _begin(response: httpx2.Response) -> int:
    """Return where the bytes of an answer begin: a server may send the whole file whatever range it was asked for."""
    if response.status_code != HTTPStatus.PARTIAL_CONTENT:
        return 0
    found = _RANGE.match(response.headers.get("Content-Range", ""))
    if found is None:
        raise PassingError("HubAway", "the hub sends a part of a file and does not say which")
    return int(found[1])
