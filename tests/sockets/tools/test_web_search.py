"""web_search against doubles that answer as the providers do."""

import pytest

from tests.sockets.tools.service import Says

SEARXNG = {
    "query": "tandem bicycle",
    "number_of_results": 0,
    "results": [
        {
            "url": "https://en.wikipedia.org/wiki/Tandem_bicycle",
            "title": "Tandem bicycle",
            "content": "A bicycle for two.",
            "engine": "wikipedia",
            "parsed_url": ["https", "en.wikipedia.org", "/wiki/Tandem_bicycle", "", "", ""],
            "engines": ["wikipedia"],
            "positions": [1],
            "score": 1.0,
            "category": "general",
        },
        {"url": "https://example.com/2", "title": "Second", "content": None, "engine": "bing", "score": 0.5},
        {"url": "https://example.com/3", "title": "Third", "content": "3", "engine": "bing", "score": 0.2},
    ],
    "answers": [],
    "corrections": [],
    "infoboxes": [],
    "suggestions": [],
    "unresponsive_engines": [],
}
TAVILY = {
    "query": "tandem bicycle",
    "follow_up_questions": None,
    "answer": None,
    "images": [],
    "results": [
        {
            "title": "Tandem bicycle",
            "url": "https://en.wikipedia.org/wiki/Tandem_bicycle",
            "content": "A bicycle for two.",
            "score": 0.81,
            "raw_content": None,
        }
    ],
    "response_time": 1.67,
    "request_id": "123e4567-e89b-12d3-a456-426614174111",
}
BRAVE = {
    "type": "search",
    "query": {"original": "tandem bicycle", "more_results_available": True},
    "web": {
        "type": "search",
        "results": [
            {
                "title": "Tandem bicycle",
                "url": "https://en.wikipedia.org/wiki/Tandem_bicycle",
                "description": "A bicycle for two.",
                "is_source_local": False,
                "language": "en",
                "family_friendly": True,
            }
        ],
    },
}
PAGE = {
    "title": "Tandem bicycle",
    "url": "https://en.wikipedia.org/wiki/Tandem_bicycle",
    "content": "A bicycle for two.",
}


@pytest.fixture
def key(tmp_path):
    (tmp_path / "key").write_text("s3cret\n")
    return {"file": str(tmp_path / "key")}


async def test_searxng(tools, service):
    service.says["/search"] = Says(SEARXNG)
    box = await tools(webSearch={"provider": "searxng", "url": service.url})
    status, found = await box.call("web_search", query="tandem bicycle", count=2)
    assert (status, found) == ("success", [PAGE, {"title": "Second", "url": "https://example.com/2", "content": ""}])
    assert service.asked[0].query == {"q": ["tandem bicycle"], "format": ["json"]}


async def test_tavily(tools, service, key):
    service.says["/search"] = Says(TAVILY)
    box = await tools(webSearch={"provider": "tavily", "url": service.url, "apiKey": key, "maxResults": 7})
    assert await box.call("web_search", query="tandem bicycle") == ("success", [PAGE])
    (asked,) = service.asked
    assert (asked.method, asked.body) == ("POST", {"query": "tandem bicycle", "max_results": 7})
    assert asked.headers["authorization"] == "Bearer s3cret"


async def test_brave(tools, service, key):
    service.says["/res/v1/web/search"] = Says(BRAVE)
    box = await tools(webSearch={"provider": "brave", "url": service.url, "apiKey": key})
    assert await box.call("web_search", query="tandem bicycle", count=3) == ("success", [PAGE])
    (asked,) = service.asked
    assert asked.query == {"q": ["tandem bicycle"], "count": ["3"], "text_decorations": ["false"]}
    assert asked.headers["x-subscription-token"] == "s3cret"


async def test_brave_says_nothing_where_nothing_is_found(tools, service, key):
    service.says["/res/v1/web/search"] = Says({"type": "search", "query": {"original": "x"}})
    box = await tools(webSearch={"provider": "brave", "url": service.url, "apiKey": key})
    assert await box.call("web_search", query="tandem bicycle") == ("success", [])


@pytest.mark.parametrize(
    ("says", "error"),
    [
        (Says({"detail": "rate limited"}, 429), "the search service answered 429"),
        (Says(b"<html>"), "the search service did not answer in JSON"),
        (Says([]), "the search service answered without an object"),
        (Says({"results": "none"}), "the search service gave no results"),
        (Says(status=302, headers={"location": "http://169.254.169.254/"}), "the search service answered 302"),
    ],
)
async def test_troubles_are_told(tools, service, says, error):
    service.says["/search"] = says
    box = await tools(webSearch={"provider": "searxng", "url": service.url})
    assert await box.error("web_search", query="x") == error


async def test_more_results_than_allowed_are_not_asked_for(tools, service):
    box = await tools(webSearch={"provider": "searxng", "url": service.url, "maxResults": 3})
    assert (await box.call("web_search", query="x", count=4))[0] == "invalid_arguments"
    assert not service.asked
