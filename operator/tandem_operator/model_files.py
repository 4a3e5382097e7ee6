"""The small files of a model, read in a folder, in an S3 store or on the Hugging Face hub."""

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tandem_operator.sizing.metadata import Read

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

_TIMEOUT: Final = 15.0
"""Seconds that the hub may be silent."""
_REFUSED: Final = frozenset({401, 403})


class NoModelError(Exception):
    """A model that is not there or not for us; the message says what to do."""


class HubUnreachableError(Exception):
    """The hub does not answer, or not in its own words."""


def in_folder(folder: Path) -> Read:
    """Return what reads the files of a model in a folder."""
    return partial(_of_folder, folder)


def on_hub(repository: str, revision: str | None) -> Read:
    """Return what reads the files of a repository of the hub; HF_ENDPOINT and HF_TOKEN say where and as whom.

    Reading raises NoModelError and HubUnreachableError.
    """
    return partial(_of_hub, repository, revision)


def in_bucket(uri: str) -> Read:
    """Return what reads the files below s3://bucket/prefix; AWS_ENDPOINT_URL and AWS_… say where and as whom.

    Reading raises NoModelError and HubUnreachableError.
    """
    return partial(_of_bucket, uri)


def _of_bucket(uri: str, name: str, most: int) -> bytes | None:
    from obstore import exceptions, store  # noqa: PLC0415 # as below

    plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
    try:
        bucket = store.S3Store.from_url(uri, client_options={"allow_http": plain, "timeout": f"{_TIMEOUT:.0f}s"})
        size = int(bucket.head(name)["size"])
        return bytes(bucket.get_range(name, start=0, end=min(size, most))) if size else b""
    except FileNotFoundError:
        return None
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
        raise NoModelError(f"{uri} is not for us: check the Secret in model.credentials") from error
    except exceptions.BaseError as error:
        raise HubUnreachableError(f"{uri} cannot be read: {type(error).__name__}") from error


def _of_folder(folder: Path, name: str, most: int) -> bytes | None:
    try:
        with (folder / name).open("rb") as file:
            return file.read(most)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NoModelError(f"{folder / name}: {error.strerror or error}") from error


def _of_hub(repository: str, revision: str | None, name: str, most: int) -> bytes | None:
    # The client takes half a second to import, which other commands can do without.
    from httpx2 import InvalidURL, RequestError  # noqa: PLC0415
    from huggingface_hub import errors, hf_hub_url  # noqa: PLC0415

    try:
        return _begin(hf_hub_url(repository, name, revision=revision), most)
    except errors.EntryNotFoundError:
        return None
    except errors.HFValidationError as error:
        raise NoModelError(f"{repository} cannot be a repository of the hub: {error}") from error
    except errors.HfHubHTTPError as error:
        raise _told(error, repository, revision) from error
    except (RequestError, InvalidURL, errors.OfflineModeIsEnabled) as error:
        raise HubUnreachableError(f"the hub cannot be reached: {str(error) or type(error).__name__}") from error


def _begin(url: str, most: int) -> bytes:
    """Return the beginning of a file of the hub; a server that does not know ranges is left in the middle."""
    from huggingface_hub import get_session  # noqa: PLC0415
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # noqa: PLC0415

    headers = {**build_hf_headers(), "Range": f"bytes=0-{most - 1}", "Accept-Encoding": "identity"}
    with get_session().stream("GET", url, headers=headers, timeout=_TIMEOUT) as response:
        hf_raise_for_status(response)
        content = bytearray()
        for chunk in response.iter_raw():
            content += chunk
            if len(content) >= most:
                break
        return bytes(content[:most])


def _told(error: "HfHubHTTPError", repository: str, revision: str | None) -> NoModelError | HubUnreachableError:
    """Return what the hub's answer means to who asked."""
    from huggingface_hub import errors  # noqa: PLC0415

    status = error.response.status_code
    if isinstance(error, errors.GatedRepoError):
        return NoModelError(
            f"{repository} is gated: accept its terms on the hub, and set HF_TOKEN to a token of who did"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return NoModelError(f"{repository} has no revision {revision}")
    if isinstance(error, errors.RepositoryNotFoundError):
        return NoModelError(
            f"{repository} is not on the hub, or private: check the name, or set HF_TOKEN to a token that may read it"
        )
    if status in _REFUSED:
        return NoModelError(f"the hub refuses {repository} ({status}): check HF_TOKEN")
    return HubUnreachableError(f"the hub answers {status}")
