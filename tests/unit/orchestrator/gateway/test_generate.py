"""What asking a model comes to, before an engine is called."""

from typing import Any

import orjson
import pytest
from tandem_contract.config import KeyLimits, ModelSettings, OrchestratorConfig, Tools
from tandem_orchestrator.auth.principal import Principal
from tandem_orchestrator.engines.catalogue import Model
from tandem_orchestrator.engines.endpoints import CHAT, ENDPOINTS
from tandem_orchestrator.errors import BadRequest, Forbidden
from tandem_orchestrator.gateway.generate import Generator
from tandem_orchestrator.gateway.request import checked
from tandem_orchestrator.observability.record import Record
from tandem_orchestrator.tools.toolbox import Toolbox


class Keys:
    open = False


class Catalogue:
    """Knows one model, and counts how often it is asked."""

    def __init__(self, default: str | None = "first") -> None:
        self.default = default
        self.asked: list[str] = []

    def find(self, name, _allowed):
        self.asked.append(name)
        return Model("first", ModelSettings(name="first"), (), takes_cache_salt=True)


class Dispatcher:
    async def complete(self, call, body):
        self.call, self.body = call, orjson.loads(body)
        return b"{}", {}


@pytest.fixture
def dispatcher():
    return Dispatcher()


async def ask(dispatcher, catalogue, models=None, **fields):
    parts: tuple[Any, ...] = (Keys(), catalogue, dispatcher, Toolbox((), Tools()))
    settings = OrchestratorConfig.model_validate({"upstreams": [{"name": "a", "url": "http://a"}]})
    generator = Generator(parts[0], parts[1], parts[2], parts[3], settings)
    request = checked(ENDPOINTS[CHAT], {"messages": [{"role": "user", "content": "?"}], **fields})
    principal = Principal("key", "team", KeyLimits(), models)
    return await generator.whole(request, principal, Record("id"), [])


async def test_a_request_without_a_model_asks_the_default_one(dispatcher):
    catalogue = Catalogue()
    await ask(dispatcher, catalogue)
    assert (catalogue.asked, dispatcher.call.model.name, dispatcher.body["model"]) == (["first"], "first", "first")


async def test_without_a_model_it_is_refused_while_none_is_known(dispatcher):
    with pytest.raises(BadRequest, match="`model` must be"):
        await ask(dispatcher, Catalogue(None))


async def test_the_catalogue_is_asked_once(dispatcher):
    catalogue = Catalogue()
    await ask(dispatcher, catalogue, model="alias")
    assert (catalogue.asked, dispatcher.body["model"]) == (["alias"], "first")


async def test_a_key_asks_its_own_models_alone(dispatcher):
    with pytest.raises(Forbidden, match="alias"):
        await ask(dispatcher, Catalogue(), frozenset({"other"}), model="alias")
    await ask(dispatcher, Catalogue(), frozenset({"alias"}), model="alias")
    assert dispatcher.body["cache_salt"]
