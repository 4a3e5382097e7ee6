"""The form of a request that has a file in it, which is read as it arrives."""

from collections.abc import Mapping
from typing import Any

from fastapi import Request

from tandem_orchestrator.api.services import Services
from tandem_orchestrator.files.arriving_body import ArrivingBody
from tandem_orchestrator.files.blobs import Bound
from tandem_orchestrator.files.form import MOST_BESIDE, Form


def form_of(request: Request, services: Services, content: str, bound: Bound) -> Form:
    """Return the form, whose file is the field `content`; the bound's error where the body is said to be larger.

    Raises `BadRequest` for what is no form.
    """
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > bound.bytes + MOST_BESIDE:
        raise bound.error()
    body = ArrivingBody(request.receive, services.config.timeouts.body_seconds)
    return Form(request.headers.get("content-type", ""), content, body.piece)


def described(content: str, **others: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the OpenAPI page says of such a form, which FastAPI never sees."""
    properties = {content: {"type": "string", "contentMediaType": "application/octet-stream"}, **others}
    schema = {"type": "object", "properties": properties, "required": [content, *(n for n in others if "[" not in n)]}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}
