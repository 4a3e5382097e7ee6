"""Whether a process answers that it is well."""

import ssl
import urllib.error
import urllib.request
from typing import Final

from hack.cluster.pki import Certificate

TIMEOUT_SECONDS: Final = 2.0


def answers(url: str, authority: Certificate | None = None, client: Certificate | None = None) -> bool:
    """Return whether a GET of `url` gives 200. Over https, `authority` must have signed the server's certificate."""
    context = None
    if authority:
        context = ssl.create_default_context(cafile=authority.path)
        if client:
            context.load_cert_chain(client.path, client.key)
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),  # what is on this machine is never behind a proxy
        *([urllib.request.HTTPSHandler(context=context)] if context else []),
    )
    try:
        with opener.open(url, timeout=TIMEOUT_SECONDS) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
