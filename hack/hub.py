"""What the demo asks of the Hugging Face Hub before it lets an engine download from there."""

import json
import os
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Final

from hack.failure import Failure

TIMEOUT_SECONDS: Final = 10
SUFFIX: Final = ".safetensors"


@dataclass(frozen=True)
class Model:
    """A model on the Hub and the size of its weights."""

    name: str
    weight_bytes: int


class Hub:
    """The Hub's HTTP API, at `$HF_ENDPOINT` or the public one, with the token in `$HF_TOKEN` if there is one."""

    def __init__(self, endpoint: str | None = None, token: str | None = None) -> None:
        self._endpoint = (endpoint or os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
        self._token = token or os.environ.get("HF_TOKEN")

    def model(self, name: str) -> Model:
        """Look a model up, `org/name`. Raises Failure where the Hub is out of reach, does not know it, or it has
        no safetensors weights."""
        url = f"{self._endpoint}/api/models/{urllib.parse.quote(name)}?blobs=true"
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 # the Hub or a mirror that was named
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310
                files = json.load(response)["siblings"]
        except urllib.error.HTTPError as error:
            raise Failure(refusal(name, error.code)) from error
        except OSError as error:
            raise Failure(
                f"the Hugging Face Hub at {self._endpoint} is out of reach ({error}); "
                "without MODEL=… the demo takes the project's own model, which needs no download"
            ) from error
        weights = sum(file.get("size") or 0 for file in files if file["rfilename"].endswith(SUFFIX))
        if not weights:
            raise Failure(f"{name} has no {SUFFIX} weights on the Hub; vLLM cannot be told to serve it by its name")
        return Model(name, weights)


def refusal(name: str, status: int) -> str:
    """Return what an HTTP error of the Hub means for the person who named the model."""
    if status in (401, 403):
        return (
            f"the Hub refuses {name} ({status}): gated, private or misspelt; set HF_TOKEN to a token that may read it"
        )
    if status == 404:
        return f"the Hub has no model {name}; MODEL is written org/name, for example Qwen/Qwen2.5-0.5B-Instruct"
    if status == 429:
        return f"the Hub asks to slow down ({status}); try again in a few minutes or set HF_TOKEN"
    return f"the Hub answered {status} when asked for {name}; try again later"
