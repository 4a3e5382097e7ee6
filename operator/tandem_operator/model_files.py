"""The small files of a model, read in a folder or on the Hugging Face hub."""

from functools import partial
from pathlib import Path
from typing import Final

from tandem_operator.sizing.metadata import Read

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
    from huggingface_hub import errors, get_session, hf_hub_url  # noqa: PLC0415
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # noqa: PLC0415

    headers = {**build_hf_headers(), "Range": f"bytes=0-{most - 1}", "Accept-Encoding": "identity"}
    try:
        url = hf_hub_url(repository, name, revision=revision)
        with get_session().stream("GET", url, headers=headers, timeout=_TIMEOUT) as response:
            hf_raise_for_status(response)
            content = bytearray()
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) >= most:
                    break
            return bytes(content[:most])
    except errors.EntryNotFoundError:
        return None
    except errors.HFValidationError as error:
        raise NoModelError(f"{repository} cannot be a repository of the hub: {error}") from error
    except errors.GatedRepoError as error:
        raise NoModelError(
            f"{repository} is gated: accept its terms on the hub, and set HF_TOKEN to a token of who did"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise NoModelError(f"{repository} has no revision {revision}") from error
    except errors.RepositoryNotFoundError as error:
        raise NoModelError(
            f"{repository} is not on the hub, or private: check the name, or set HF_TOKEN to a token that may read it"
        ) from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status in _REFUSED:
            raise NoModelError(f"the hub refuses {name} of {repository} ({status}): check HF_TOKEN") from error
        raise HubUnreachableError(f"the hub answers {status}") from error
    except (RequestError, InvalidURL, errors.OfflineModeIsEnabled) as error:
        raise HubUnreachableError(f"the hub cannot be reached: {str(error) or type(error).__name__}") from error
