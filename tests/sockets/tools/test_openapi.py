"""Every operation of an OpenAPI document as a tool."""

from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from tandem_contract.config import Tools
from tandem_orchestrator.config import ConfigError
from tandem_orchestrator.tools import local_source, source
from tandem_orchestrator.tools.build import check

from tests.sockets.running import until
from tests.sockets.tools.service import Says

TREE: dict[str, Any] = {
    "type": "object",
    "properties": {"children": {"type": "array", "items": {"$ref": "#/components/schemas/Tree"}}},
}
DOCUMENT: dict[str, Any] = {
    "openapi": "3.0.3",
    "info": {"title": "Orders", "version": "1"},
    "servers": [{"url": "{scheme}://127.0.0.1:{port}/api/", "variables": {"scheme": {"default": "http"}}}],
    "paths": {
        "/orders/{id}": {
            "parameters": [{"$ref": "#/components/parameters/Id"}],
            "get": {
                "operationId": "getOrder",
                "summary": "Look an order up",
                "parameters": [
                    {"name": "fields", "in": "query", "explode": False, "schema": {"type": "array", "items": {}}},
                    {"name": "tag", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
                    {"name": "filter", "in": "query", "style": "deepObject", "schema": {"type": "object"}},
                    {"name": "X-Trace", "in": "header", "schema": {"type": "string"}},
                    {"name": "id", "in": "query", "schema": {"type": "string"}},
                    {"name": "session", "in": "cookie", "schema": {"type": "string"}},
                ],
                "responses": {"200": {"description": "The order"}},
            },
            "patch": {
                "operationId": "orders.update!",
                "requestBody": {"$ref": "#/components/requestBodies/Change"},
                "responses": {"200": {"description": "The order"}},
            },
        },
        "/trees": {
            "post": {
                "operationId": "plant",
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Tree"}}}},
                "responses": {},
            }
        },
        "/login": {
            "post": {
                "requestBody": {
                    "required": True,
                    "content": {"application/x-www-form-urlencoded": {"schema": {"type": "object"}}},
                },
                "responses": {},
            }
        },
    },
    "components": {
        "parameters": {
            "Id": {"name": "id", "in": "path", "required": True, "schema": {"type": "integer", "format": "int64"}}
        },
        "requestBodies": {
            "Change": {
                "required": True,
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Change"}}},
            }
        },
        "schemas": {
            "Change": {
                "type": "object",
                "required": ["example"],
                "properties": {
                    "example": {"type": "string", "nullable": True, "enum": ["a", "b"], "example": "a"},
                    "price": {"type": "number", "minimum": 0, "exclusiveMinimum": True},
                },
            },
            "Tree": TREE,
        },
    },
}


@pytest.fixture(autouse=True)
def _soon_again(monkeypatch):
    monkeypatch.setattr(source, "FIRST_DELAY", 0.01)
    monkeypatch.setattr(local_source, "CHECK_SECONDS", 0.01)


@pytest.fixture
def document(tmp_path, service):
    def write(**changes):
        servers = [
            {**DOCUMENT["servers"][0], "variables": {"scheme": {"default": "http"}, "port": {"default": service.port}}}
        ]
        path = tmp_path / "openapi.yaml"
        path.write_text(yaml.safe_dump({**DOCUMENT, "servers": servers, **changes}))
        return {"file": str(path)}

    return write


async def test_each_operation_is_a_tool(tools, document):
    box = await (await tools(openapi=[{"name": "shop", "document": document()}])).ready()
    assert box.toolbox.names == {"shop_getOrder", "shop_orders_update", "shop_plant", "shop_post_login"}
    declared = {
        tool["function"]["name"]: tool["function"]
        for tool in orjson.loads(orjson.dumps(box.toolbox.declarations(box.toolbox.names)))
    }
    assert declared["shop_getOrder"]["description"] == "Look an order up"
    update = declared["shop_orders_update"]["parameters"]
    assert update["required"] == ["id", "body"]
    assert update["properties"]["body"]["properties"] == {
        "example": {"type": ["string", "null"], "enum": ["a", "b", None]},
        "price": {"type": "number", "exclusiveMinimum": 0},
    }
    tree = declared["shop_plant"]["parameters"]["properties"]["body"]
    assert tree == {**TREE, "properties": {"children": {"type": "array", "items": {}}}}


async def test_parameters_find_their_places(tools, document, service):
    service.says["/api/orders/7"] = Says({"state": "sent"})
    box = await (await tools(openapi=[{"name": "shop", "document": document()}])).ready()
    arguments = {
        "id": 7,
        "fields": ["a", "b"],
        "tag": ["x", "y"],
        "filter": {"min": 1},
        "X-Trace": "t",
        "id_query": "q",
    }
    assert await box.call("shop_getOrder", **arguments) == ("success", {"state": "sent"})
    (asked,) = service.asked
    assert asked.query == {"fields": ["a,b"], "tag": ["x", "y"], "filter[min]": ["1"], "id": ["q"]}
    assert asked.headers["x-trace"] == "t"


async def test_bodies_in_json_and_as_a_form(tools, document, service):
    box = await (await tools(openapi=[{"name": "shop", "document": document()}])).ready()
    await box.call("shop_orders_update", id=7, body={"example": "a"})
    await box.call("shop_post_login", body={"user": "a b", "code": 3})
    update, login = service.asked
    assert (update.method, update.path, update.body) == ("PATCH", "/api/orders/7", {"example": "a"})
    assert login.body == "user=a+b&code=3"


async def test_arguments_are_checked_first(tools, document, service):
    box = await (await tools(openapi=[{"name": "shop", "document": document()}])).ready()
    for arguments in ({"id": "seven"}, {}, {"id": 7, "colour": "red"}):
        assert (await box.call("shop_getOrder", **arguments))[0] == "invalid_arguments"
    assert not service.asked


async def test_operations_are_chosen(tools, document):
    chosen = {"name": "shop", "document": document()}
    box = await (await tools(openapi=[{**chosen, "include": ["getOrder", "plant"]}])).ready()
    assert box.toolbox.names == {"shop_getOrder", "shop_plant"}
    box = await (await tools(openapi=[{**chosen, "exclude": ["getOrder", "plant"]}])).ready()
    assert box.toolbox.names == {"shop_orders_update", "shop_post_login"}


async def test_headers_go_with_each_request(tools, document, service, tmp_path):
    (tmp_path / "key").write_text("s3cret")
    header = {"name": "X-Api-Key", "value": {"file": str(tmp_path / "key")}}
    settings = {"name": "shop", "document": document(), "headers": {"x-team": "blue"}, "secretHeaders": [header]}
    await (await (await tools(openapi=[settings])).ready()).call("shop_getOrder", id=7)
    headers = service.asked[0].headers
    assert (headers["x-team"], headers["x-api-key"]) == ("blue", "s3cret")


GIVEN: list[dict[str, Any]] = [
    {"name": "x-api-key", "in": "header", "required": True, "schema": {"type": "string"}},
    {"name": "X-Team", "in": "header", "required": True, "schema": {"type": "string"}},
    {"name": "Cookie", "in": "header", "schema": {"type": "string"}},
    {"name": "session", "in": "cookie", "required": True, "schema": {"type": "string"}},
    *({"name": name, "in": "header", "schema": {}} for name in ("Authorization", "Accept", "content-type")),
    *({"name": name, "in": "header", "schema": {}} for name in ("Host", "Content-Length", "Transfer-Encoding")),
    {"name": "page", "in": "query", "schema": {"type": "integer"}},
]


async def test_what_the_configuration_gives_is_not_asked_of_the_model(tools, document, service, tmp_path):
    (tmp_path / "key").write_text("s3cret")
    secrets = [{"name": name, "value": {"file": str(tmp_path / "key")}} for name in ("X-Api-Key", "cookie")]
    paths = {"/a": {"get": {"operationId": "x", "parameters": GIVEN}}}
    settings = {"name": "shop", "document": document(paths=paths)}
    box = await (await tools(openapi=[{**settings, "headers": {"x-team": "blue"}, "secretHeaders": secrets}])).ready()
    (declared,) = orjson.loads(orjson.dumps(box.toolbox.declarations(["shop_x"])))
    parameters = declared["function"]["parameters"]
    assert (list(parameters["properties"]), parameters["required"]) == (["page"], [])
    service.says["/api/a"] = Says()
    assert (await box.call("shop_x", page=2))[0] == "success"
    headers = service.asked[0].headers
    assert [headers[name] for name in ("x-api-key", "x-team", "cookie")] == ["s3cret", "blue", "s3cret"]
    for name in ("x-api-key", "X-Team", "Authorization", "Host"):
        assert (await box.call("shop_x", **{name: "evil"}))[0] == "invalid_arguments"


async def test_an_exploded_object_names_no_parameter_of_its_own(tools, document, service):
    parameters = [
        {"name": "tenant", "in": "query", "schema": {"enum": ["acme"]}},
        {"name": "filter", "in": "query", "schema": {"type": "object"}},
        {"name": "page", "in": "query", "schema": {"type": "integer"}},
    ]
    box = await (
        await tools(
            openapi=[
                {
                    "name": "shop",
                    "document": document(paths={"/a": {"get": {"operationId": "x", "parameters": parameters}}}),
                }
            ]
        )
    ).ready()
    await box.call("shop_x", tenant="acme", filter={"tenant": "evil", "page": 3, "sort": "age"})
    assert service.asked[0].query == {"tenant": ["acme"], "sort": ["age"]}


@pytest.mark.parametrize("path", ["@127.0.0.2/steal", ".evil.example/", ":1/", ""])
async def test_a_document_cannot_choose_another_host_by_its_paths(tools, service, path):
    service.says["/openapi.json"] = Says({**DOCUMENT, "paths": {path: {"get": {"operationId": "x"}}}})
    settings = {"name": "shop", "url": f"{service.url}/openapi.json", "baseUrl": service.url}
    box = await tools(openapi=[settings])
    assert f"has the path {path!r}, which does not begin with /" in await box.down()


async def test_a_document_is_fetched_from_its_service(tools, service):
    service.says["/openapi.json"] = Says({**DOCUMENT, "servers": [{"url": "/api"}]})
    service.says["/api/orders/7"] = Says({"state": "sent"})
    box = await (await tools(openapi=[{"name": "shop", "url": f"{service.url}/openapi.json"}])).ready()
    assert await box.call("shop_getOrder", id=7) == ("success", {"state": "sent"})


@pytest.mark.parametrize(
    ("says", "problem"),
    [
        (Says(status=503), "answered 503"),
        (Says({"swagger": "2.0"}), "is no OpenAPI 3 document"),
        (Says(b"{", kind="text/plain"), "is neither JSON nor YAML"),
    ],
)
async def test_a_document_that_cannot_be_had_is_told(tools, service, says, problem):
    service.says["/openapi.json"] = says
    box = await tools(openapi=[{"name": "shop", "url": f"{service.url}/openapi.json"}])
    assert problem in await box.down()
    assert not box.toolbox.names


async def test_a_fetched_document_does_not_lead_inside(tools, service):
    service.says["/openapi.json"] = Says({**DOCUMENT, "servers": [{"url": "http://169.254.169.254/"}]})
    box = await (await tools(openapi=[{"name": "shop", "url": f"{service.url}/openapi.json"}])).ready()
    assert "not public" in await box.error("shop_getOrder", id=7)


@pytest.mark.parametrize(
    ("changes", "settings", "problem"),
    [
        ({"openapi": "2.0"}, {}, "is no OpenAPI 3 document"),
        ({"paths": {"/a": {"get": {"parameters": [{"in": "query"}], "summary": 7}}}}, {}, "does not follow OpenAPI"),
        ({"servers": [{"url": "/api"}]}, {}, "names no server with a full URL (found '/api'); set baseUrl"),
        ({}, {"include": ["getOrders"]}, "has no operation getOrders"),
        (
            {"paths": {"/a": {"$ref": "other.yaml#/a"}}},
            {},
            "refers to other.yaml#/a; only references inside the document are followed",
        ),
        ({"paths": {"/a": {"get": {"operationId": "x", "parameters": [{"$ref": "#/b"}]}}}}, {}, "x: refers to #/b"),
        (
            {"paths": {"/a": {"put": {"operationId": "x", "requestBody": {"content": {"text/csv": {}}}}}}},
            {},
            "x: takes a body of text/csv",
        ),
        (
            {"paths": {"/a": {"get": {"operationId": "x"}, "put": {"operationId": "x"}}}},
            {},
            "has two operations that would be called shop_x",
        ),
        (
            {
                "paths": {
                    "/a": {
                        "get": {
                            "operationId": "x",
                            "parameters": [{"name": "p", "in": "query", "schema": {"type": "nr"}}],
                        }
                    }
                }
            },
            {},
            "the parameters of shop_x are no JSON schema",
        ),
    ],
)
async def test_a_document_that_cannot_be_used_keeps_its_tools_away(tools, document, changes, settings, problem):
    settings = {"name": "shop", "document": document(**changes), **settings}
    box = await tools(openapi=[settings], enabled=["calculate_math"])
    line = await box.down()
    assert line.startswith("tools of openapi shop: ")
    assert problem in line
    assert box.toolbox.names == {"calculate_math"}
    with pytest.raises(ConfigError) as caught:
        check(Tools.model_validate({"openapi": [settings]}))
    (told,) = caught.value.problems
    assert told.startswith("tools.openapi.0: ")
    assert problem in told


async def test_a_schema_that_explodes_is_refused(tools, document):
    schemas: dict[str, Any] = {f"S{n}": {"allOf": [{"$ref": f"#/components/schemas/S{n + 1}"}] * 10} for n in range(9)}
    schemas["S9"] = {"type": "object"}
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/S0"}}}}
    paths = {"/a": {"post": {"operationId": "x", "requestBody": body}}}
    exploding = document(paths=paths, components={"schemas": schemas})
    box = await tools(openapi=[{"name": "shop", "document": exploding}])
    assert "more than 20000 parts" in await box.down()


async def test_a_document_is_followed(tools, document):
    file = document(openapi="2.0")
    box = await tools(openapi=[{"name": "shop", "document": file, "include": ["plant"]}])
    assert (await box.down()).startswith(
        f"tools of openapi shop: tools.openapi.0: the document in {file['file']} is no"
    )
    document()
    await box.ready()
    assert box.toolbox.names == {"shop_plant"}
    paths = {"/b": {"get": {"operationId": "plant", "description": "Another."}}}
    document(paths=paths)
    await until(lambda: b"Another." in orjson.dumps(box.toolbox.declarations(["shop_plant"])))
    Path(file["file"]).unlink()  # noqa: ASYNC240 # it takes no time
    await until(lambda: not box.toolbox.names)
    assert "tools.openapi.0: " in await box.down()
    assert "cannot be read: FileNotFoundError" in await box.down()
