"""Asks an issuer for its keys."""

import asyncio
import ssl
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import orjson
from tandem_contract.config import Issuer, SecretFile

from tandem_orchestrator.secret_file import SecretError, read_secret

SECONDS: Final = 10.0  # for both documents together
MOST_BYTES: Final = 524_288
MOST_KEYS: Final = 100
MOST_URL: Final = 2048
MOST_SHOWN: Final = 300  # characters of what others say
DISCOVERY: Final = "/.well-known/openid-configuration"
HEADERS: Final = {"user-agent": "tandem-orchestrator", "accept": "application/json", "accept-encoding": "identity"}


class IssuerError(Exception):
    """The issuer's keys cannot be had; the message goes on from its URL."""


async def published_keys(settings: Issuer) -> list[Any]:
    """Return the members of the issuer's key set, which may be anything yet. Raises `IssuerError`."""
    try:
        async with asyncio.timeout(SECONDS):
            tls = True if settings.ca is None else await asyncio.to_thread(_trusting, settings.ca)
            connector = aiohttp.TCPConnector(ssl=tls)
            async with aiohttp.ClientSession(connector=connector, auto_decompress=False, trust_env=True) as session:
                url = settings.jwks_url or _jwks_url(settings, await _document(session, _discovery(settings)))
                token = None if settings.jwks_token is None else read_secret(settings.jwks_token)
                document = await _document(session, url, token)
    except TimeoutError:
        raise IssuerError(f"did not answer within {SECONDS:g} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise IssuerError(f"cannot be reached: {str(error)[:MOST_SHOWN]}") from None
    except SecretError as error:
        raise IssuerError(f"cannot be asked: {error}") from None
    keys = document.get("keys")
    if not isinstance(keys, list) or len(keys) > MOST_KEYS:
        raise IssuerError(f"shows no list of up to {MOST_KEYS} keys at {url}")
    return keys


def _discovery(settings: Issuer) -> str:
    return settings.issuer.removesuffix("/") + DISCOVERY


def _jwks_url(settings: Issuer, document: dict[str, Any]) -> str:
    """Return where the issuer's own configuration says that its keys are."""
    name, url = str(document.get("issuer")), str(document.get("jwks_uri"))
    if name != settings.issuer:
        raise IssuerError(f"calls itself {name[:MOST_SHOWN]}; write `issuer` exactly so, if it is meant")
    if len(url) > MOST_URL or urlsplit(url).scheme not in ("https", urlsplit(settings.issuer).scheme):
        raise IssuerError("names no jwks_uri with https; set jwksUrl")
    return url


async def _document(session: aiohttp.ClientSession, url: str, token: str | None = None) -> dict[str, Any]:
    headers = HEADERS if token is None else {**HEADERS, "authorization": f"Bearer {token}"}
    async with session.get(url, headers=headers, allow_redirects=False) as response:
        if response.status in range(300, 400):
            raise IssuerError(f"answers {response.status} at {url}; redirects are not followed, set jwksUrl")
        if response.status != 200:  # noqa: PLR2004
            raise IssuerError(f"answers {response.status} at {url}")
        text = bytearray()
        async for piece in response.content.iter_any():
            text += piece
            if len(text) > MOST_BYTES:
                raise IssuerError(f"answers with more than {MOST_BYTES} bytes at {url}")
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise IssuerError(f"answers with no JSON object at {url}")
    return document


def _trusting(ca: SecretFile) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=read_secret(ca))
    except ssl.SSLError as error:
        raise SecretError(f"{ca.file} holds no certificates in PEM: {error}") from None
