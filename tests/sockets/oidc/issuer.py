"""An issuer of tokens: authlib's authorization server with the grant for clients, behind TLS of its own."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import time
from typing import Any

import aiohttp
from aiohttp import web
from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, OAuth2Request
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc9068 import JWTBearerTokenGenerator
from joserfc import jwt
from joserfc.jwk import ECKey, Key, KeySet
from joserfc.jws import JWSRegistry

from tests.sockets.certificate import self_signed

REALM = "/realms/team"
SECRET = "client-secret"
HELD_SECONDS = 60.0  # longer than any test waits
ANY_HEADER = JWSRegistry(strict_check_header=False)


class Client(ClientMixin):  # type: ignore[misc] # authlib has no types
    """Whoever asks for tokens; any name will do, with the one secret."""

    def __init__(self, name: str) -> None:
        self.name = name

    def get_client_id(self) -> str:
        return self.name

    def get_allowed_scope(self, scope: str | None) -> str:
        return scope or ""

    def check_client_secret(self, client_secret: str) -> bool:
        return client_secret == SECRET

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return (method, endpoint) == ("client_secret_basic", "token")

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "client_credentials"


class Tokens(JWTBearerTokenGenerator):  # type: ignore[misc]
    """Access tokens as RFC 9068 has them, with what the test wants in them."""

    def __init__(self, issuer: "Issuer") -> None:
        super().__init__(issuer.url, alg="ES256", expires_generator=600)
        self._issuer = issuer

    def get_jwks(self) -> KeySet:
        return KeySet([self._issuer.signing])  # of a set it names the key

    def get_audiences(self, *_: Any) -> str:
        return "tandem"

    def get_extra_claims(self, *_: Any) -> dict[str, Any]:
        return self._issuer.claims


class Server(AuthorizationServer):  # type: ignore[misc]
    """What authlib asks of a web framework."""

    def query_client(self, client_id: str) -> Client:
        return Client(client_id)

    def save_token(self, token: Any, request: Any) -> None:
        pass

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        pass

    def create_oauth2_request(self, request: OAuth2Request) -> OAuth2Request:
        return request

    def handle_response(self, status: int, body: Any, _: Any) -> web.Response:
        return web.json_response(body, status=status)


class Issuer:
    """Shows its configuration and keys, and gives out tokens."""

    def __init__(self, folder: Path) -> None:
        self.certificate, self._key = folder / "issuer.crt", folder / "issuer.key"
        self_signed(self.certificate, self._key, "DNS:localhost,IP:127.0.0.1")
        self.keys: list[Key] = []
        """What it shows."""
        self.signing = self.new_key()
        self.claims: dict[str, Any] = {}
        """What it says of a client, beside what each token says."""
        self.fetches = 0
        self.bearers: list[str | None] = []
        """What came with each request for the keys."""
        self.answer: web.Response | None = None
        """Instead of the keys."""
        self.going = asyncio.Event()
        """Clear while requests for keys get no answer."""
        self.going.set()
        self.port = 0

    def new_key(self) -> Key:
        """One more key that it shows."""
        key = ECKey.generate_key("P-256", auto_kid=True)
        self.keys.append(key)
        return key

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}{REALM}"

    def settings(self, **others: Any) -> dict[str, Any]:
        """An entry of `oidc.issuers`."""
        trusted = {"ca": {"file": str(self.certificate)}}
        return {"issuer": self.url, "audiences": ["tandem"], "tenant": "team", **trusted, **others}

    async def token(self, client: str = "agent", **claims: Any) -> str:
        """A token for a client, as it gets it."""
        self.claims = claims
        tls = ssl.create_default_context(cafile=str(self.certificate))
        login = {"authorization": aiohttp.encode_basic_auth(client, SECRET)}
        async with (
            aiohttp.ClientSession(headers=login) as session,
            session.post(f"{self.url}/token", data={"grant_type": "client_credentials"}, ssl=tls) as response,
        ):
            answer = await response.json()
            assert response.status == 200, answer
            return str(answer["access_token"])

    def sign(self, key: Key | None = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token with any claims; `None` leaves one out."""
        key = key or self.signing
        now = int(time())
        usual = {"iss": self.url, "aud": "tandem", "sub": "agent", "iat": now, "exp": now + 600}
        said = {name: value for name, value in (usual | claims).items() if value is not None}
        return jwt.encode({"alg": "ES256", "kid": key.kid, **(header or {})}, said, key, registry=ANY_HEADER)

    async def start(self) -> None:
        app = web.Application()
        app.add_routes(
            [
                web.get(f"{REALM}/.well-known/openid-configuration", self._configuration),
                web.get("/jwks", self._jwks),
                web.post(f"{REALM}/token", self._token),
            ]
        )
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(self.certificate, self._key)
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=tls)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self._server = Server()
        self._server.register_grant(ClientCredentialsGrant)
        self._server.register_token_generator("default", Tokens(self))

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _configuration(self, _: web.Request) -> web.Response:
        return web.json_response({"issuer": self.url, "jwks_uri": f"https://localhost:{self.port}/jwks"})

    async def _jwks(self, request: web.Request) -> web.Response:
        self.fetches += 1
        self.bearers.append(request.headers.get("authorization"))
        async with asyncio.timeout(HELD_SECONDS):
            await self.going.wait()
        if self.answer is not None:
            return self.answer
        return web.json_response({"keys": [key.as_dict(private=False) | {"use": "sig"} for key in self.keys]})

    async def _token(self, request: web.Request) -> web.Response:
        asked = OAuth2Request(request.method, str(request.url), headers=dict(request.headers))
        asked.payload = BasicOAuth2Payload(dict(await request.post()))
        response: web.Response = self._server.create_token_response(asked)
        return response


@asynccontextmanager
async def running_issuer(folder: Path) -> AsyncIterator[Issuer]:
    issuer = Issuer(folder)
    await issuer.start()
    try:
        yield issuer
    finally:
        issuer.going.set()
        await issuer.stop()
