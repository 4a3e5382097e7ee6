"""Tools that are one HTTP request, described in the configuration."""

import pytest

from tests.sockets.tools.service import Says, Service


def tool(service, **fields):
    path = fields.pop("path", "/orders/{order_id}")
    properties = {
        "order_id": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "limit": {"type": "integer"},
        "note": {"type": "string"},
    }
    parameters = {"type": "object", "properties": properties, "required": ["order_id"]}
    described = {"name": "orders", "description": "Looks an order up.", "parameters": parameters}
    return {**described, "url": f"{service.url}{path}", **fields}


async def test_arguments_find_their_places(tools, service):
    service.says["/orders/a b?c"] = Says({"state": "sent"})
    box = await tools(http=[tool(service, query={"max": "{limit}", "v": "2"}, headers={"x-note": "n {note}"})])
    found = await box.call("orders", order_id="a b?c", limit=3, tags=["x", "y&z"], note="now")
    assert found == ("success", {"state": "sent"})
    (asked,) = service.asked
    assert (asked.method, asked.path) == ("GET", "/orders/a b?c")
    assert asked.query == {"max": ["3"], "v": ["2"], "tags": ["x", "y&z"]}
    assert (asked.headers["x-note"], asked.headers["accept"]) == ("n now", "application/json")


async def test_what_is_left_out_leaves_nothing_behind(tools, service):
    service.says["/orders/1"] = Says()
    await (await tools(http=[tool(service, query={"max": "{limit}"}, headers={"x-note": "{note}"})])).call(
        "orders", order_id="1"
    )
    assert service.asked[0].query == {}
    assert "x-note" not in service.asked[0].headers


async def test_a_body_keeps_types_and_takes_the_rest(tools, service):
    service.says["/orders/1"] = Says()
    body = {"amount": {"value": "{limit}", "text": "{limit} pieces"}, "list": ["{note}", "fixed"]}
    box = await tools(http=[tool(service, method="POST", body=body)])
    await box.call("orders", order_id="1", limit=3, tags=["x"])
    (asked,) = service.asked
    assert asked.method == "POST"
    assert asked.body == {"amount": {"value": 3, "text": "3 pieces"}, "list": ["fixed"], "tags": ["x"]}


async def test_a_post_without_a_body_template_sends_the_arguments(tools, service):
    service.says["/orders"] = Says()
    box = await tools(http=[tool(service, method="POST", path="/orders")])
    await box.call("orders", order_id="1", limit=3)
    assert service.asked[0].body == {"order_id": "1", "limit": 3}


ACCOUNT = {"type": "object", "properties": {"account": {}, "page": {"type": "integer"}}}

OPEN = {"additionalProperties": True}


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({"query": {"account": "acme"}}, {"account": ["acme"], "page": ["2"]}),
        ({"path": "/orders?account=acme"}, {"account": ["acme"], "page": ["2"]}),
        ({"query": {"account": "{page}"}}, {"account": ["2"]}),
        ({"method": "DELETE", "query": {"account": "acme"}}, {"account": ["acme"], "page": ["2"]}),
        ({"method": "POST", "body": {"account": "acme"}}, {"account": "acme", "page": 2}),
        ({"method": "PUT", "body": {"account": {"id": 1, "of": ["{page}"]}}}, {"account": {"id": 1, "of": [2]}}),
    ],
)
@pytest.mark.parametrize("parameters", [ACCOUNT, {"type": "object", "properties": {"page": {}}, **OPEN}])
async def test_what_the_configuration_sets_the_model_cannot(tools, service, fields, sent, parameters):
    service.says["/orders"] = Says()
    box = await tools(http=[tool(service, **{"path": "/orders", "parameters": parameters, **fields})])
    for evil in ("evil", ["evil"], {"id": "evil"}):
        assert (await box.call("orders", account=evil, page=2))[0] == "success"
        asked = service.asked.pop()
        assert (asked.body or asked.query) == sent


async def test_a_place_whose_argument_is_left_out_stays_the_configurations(tools, service):
    service.says["/orders"] = Says()
    await (await tools(http=[tool(service, path="/orders", parameters=ACCOUNT, query={"account": "{page}"})])).call(
        "orders", account="evil"
    )
    assert service.asked[0].query == {}


async def test_arguments_that_are_not_declared_are_refused(tools, service):
    service.says["/orders/1"] = Says()
    box = await tools(http=[tool(service, method=method, name=method) for method in ("GET", "POST")])
    for method in ("GET", "POST"):
        status, said = await box.call(method, order_id="1", admin=True)
        assert (status, "'admin'" in said["error"]) == ("invalid_arguments", True)
    assert not service.asked


async def test_a_schema_may_be_open_on_purpose(tools, service):
    service.says["/orders"] = Says()
    box = await tools(http=[tool(service, path="/orders", parameters={**ACCOUNT, **OPEN})])
    await box.call("orders", sort="age")
    assert service.asked[0].query == {"sort": ["age"]}


BOTH = {"type": "object", "properties": {"order_id": {}, "note": {}}, "required": ["order_id", "note"]}
PATHS = ["..", ".", "../../admin", "a/../../admin", "..\\admin", "%2e%2e", "%2E%2e%2fadmin", "x/%2e%2E"]


@pytest.mark.parametrize("argument", PATHS)
async def test_an_argument_cannot_leave_its_place(tools, service, argument):
    # Servers that decode a path before they resolve its dots, nginx for one, leave the place by %2F as well.
    box = await tools(http=[tool(service, path="/orders/{order_id}/items")])
    assert await box.error("orders", order_id=argument) == "an argument must not be a path"
    assert not service.asked


async def test_an_argument_is_one_segment_of_the_path(tools, service):
    box = await tools(http=[tool(service, path="/orders/{order_id}/items?note={note}", parameters=BOTH)])
    await box.call("orders", order_id="a/b?x=1#y;z%41", note="../a&x=1#%2e")
    (asked,) = service.asked
    assert (asked.path, asked.query) == ("/orders/a/b?x=1#y;z%41/items", {"note": ["../a&x=1#%2e"]})
    assert await box.error("orders", order_id="", note="x") == "the argument 'order_id' must be given"
    assert len(service.asked) == 1


async def test_arguments_do_not_make_dots_together(tools, service):
    for path in ("/orders/{order_id}{note}", "/orders/%2e{note}?id={order_id}"):
        box = await tools(http=[tool(service, path=path, parameters=BOTH)])
        assert await box.error("orders", order_id=".", note=".") == "an argument must not be a path"


async def test_an_argument_makes_no_header_of_its_own(tools, service):
    box = await tools(http=[tool(service, headers={"x-note": "{note}"})])
    assert "no header may have" in await box.error("orders", order_id="1", note="a\r\nx-admin: 1")
    assert not service.asked


async def test_a_secret_header_stands_alone(tools, service, tmp_path):
    (tmp_path / "key").write_text("secret")
    secret = {"name": "X-Account", "value": {"file": str(tmp_path / "key")}}
    headers = {"x-account": "{note}", "Content-Type": "application/merge-patch+json", "Accept": "text/plain"}
    service.says["/orders/1"] = Says()
    box = await tools(http=[tool(service, method="POST", headers=headers, secretHeaders=[secret])])
    await box.call("orders", order_id="1", note="evil")
    (asked,) = service.asked
    found = [asked.headers[name] for name in ("x-account", "content-type", "accept")]
    assert found == ["secret", "application/merge-patch+json", "text/plain"]


async def test_the_part_of_the_answer_that_matters(tools, service):
    service.says["/orders/1"] = Says({"data": {"items": [{"a/b": "first"}]}})
    box = await tools(http=[tool(service, resultPointer="/data/items/0/a~1b")])
    assert await box.call("orders", order_id="1") == ("success", "first")
    service.says["/orders/1"] = Says({"data": 3})
    assert await box.error("orders", order_id="1") == "the service's answer has no /data/items/0/a~1b"


@pytest.mark.parametrize(
    ("says", "error"),
    [
        (Says({"detail": "no order 1"}, 404), 'the service answered 404: {"detail":"no order 1"}'),
        (Says(b"\xff\xfe", kind="image/png"), "the service answered 200 with image/png, which is no text"),
        (Says(b"x" * 2_000_000), "the service answered with more than 1048576 bytes"),
    ],
)
async def test_troubles_are_told(tools, service, says, error):
    service.says["/orders/1"] = says
    assert await (await tools(http=[tool(service)])).error("orders", order_id="1") == error


async def test_secret_headers_are_read_anew_and_follow_no_redirect(tools, service, tmp_path):
    key = tmp_path / "key"
    key.write_text("first\n")
    header = {"name": "Authorization", "prefix": "Bearer ", "value": {"file": str(key)}}
    service.says["/orders/1"] = Says(status=302, headers={"location": f"{service.url}/orders/2"})
    box = await tools(http=[tool(service, secretHeaders=[header])])
    assert await box.error("orders", order_id="1") == "the service answered 302: {}"
    key.write_text("second")
    await box.call("orders", order_id="1")
    key.unlink()
    assert await box.error("orders", order_id="1") == "the tool's credentials are not there"
    assert [asked.headers["authorization"] for asked in service.asked] == ["Bearer first", "Bearer second"]


async def test_a_redirect_is_followed_where_nothing_is_secret(tools, service):
    service.says["/orders/1"] = Says(status=302, headers={"location": "/orders/2"})
    service.says["/orders/2"] = Says({"state": "moved"})
    assert await (await tools(http=[tool(service)])).call("orders", order_id="1") == ("success", {"state": "moved"})


@pytest.mark.parametrize("target", ["http://169.254.169.254/latest/meta-data/", "http://localhost:{port}/secret"])
async def test_a_redirect_to_the_inside_is_refused(tools, service, target):
    async with Service() as inside:
        inside.says["/secret"] = Says({"password": "x"})
        location = target.format(port=inside.port)
        service.says["/orders/1"] = Says(status=302, headers={"location": location})
        error = await (await tools(http=[tool(service)])).error("orders", order_id="1")
        assert error == "the service cannot be reached: it leads to an address that is not public"
        assert not inside.asked
