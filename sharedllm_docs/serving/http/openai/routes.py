"""The endpoints of the OpenAI-style API."""

from __future__ import annotations

import base64
import hashlib
import json
from asyncio import to_thread
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response

from sharedllm_docs.errors import ConfigError, RequestTooLargeError
from sharedllm_docs.serving.desk import Answering, Desk
from sharedllm_docs.serving.http import state
from sharedllm_docs.serving.http.openai.replies import Kind, Reply
from sharedllm_docs.serving.http.openai.requests import (
    OWN,
    ChatRequest,
    CompletionRequest,
    EmbeddingsRequest,
    RerankRequest,
    check_written,
)
from sharedllm_docs.serving.http.openai.streams import streamed
from sharedllm_docs.serving.http.openai.targets import Target, model, models, target_of
from sharedllm_docs.serving.http.presence import until_gone
from sharedllm_docs.serving.http.settings import Settings

router = APIRouter(prefix="/v1", tags=["OpenAI dialect"])

Desks = Annotated[Desk, Depends(state.desk)]
Set = Annotated[Settings, Depends(state.settings)]
Caller = Annotated[str, Depends(state.caller)]


@router.get("/models")
async def list_models(desk: Desks) -> dict[str, Any]:
    """Indexes, their documents, and the model without documents."""
    return {"object": "list", "data": await to_thread(models, desk)}


@router.get("/models/{name:path}")
async def get_model(name: str, desk: Desks) -> dict[str, Any]:
    """One of the models."""
    return await to_thread(model, desk, name)


@router.post("/chat/completions", response_model=None)
async def chat(body: ChatRequest, request: Request, desk: Desks, settings: Set, caller: Caller) -> Response:
    """Answer the last message; earlier ones are the conversation, system messages instructions."""
    body.check_extra(OWN)
    turns, generation = body.turns(settings), body.generation(settings)
    target = await to_thread(target_of, desk, body.model)
    scope = target.scope(body.documents())
    reply = await _reply("chat", target, request, desk)
    if target.plain:
        answering: Answering[Any] = desk.chat(turns, generation, caller=caller)
    else:
        if turns[-1].role != "user":
            raise ConfigError(f"The last message is of the role {turns[-1].role!r}.", remedy="End with the user's.")
        options = {**generation, **scope}
        answering = desk.stream(target.index, turns[-1].content, options, conversation=turns[:-1], caller=caller)
    return await _respond(reply, [answering], body, request, settings)


@router.post("/completions", response_model=None)
async def complete(body: CompletionRequest, request: Request, desk: Desks, settings: Set, caller: Caller) -> Response:
    """Answer a prompt as a question; ``plain`` continues it instead."""
    body.check_extra(OWN)
    prompts, generation = body.prompts(settings), body.generation(settings)
    target = await to_thread(target_of, desk, body.model)
    scope = target.scope(body.documents())
    reply = await _reply("text", target, request, desk)
    begun: list[Answering[Any]] = []
    try:
        for prompt in prompts:
            if target.plain:
                begun.append(desk.complete(prompt, generation, caller=caller))
            else:
                begun.append(desk.stream(target.index, prompt, {**generation, **scope}, caller=caller))
        return await _respond(reply, begun, body, request, settings)
    except BaseException:
        for answering in begun:
            answering.cancel()
        raise


async def _respond(
    reply: Reply,
    begun: list[Answering[Any]],
    body: ChatRequest | CompletionRequest,
    request: Request,
    settings: Settings,
) -> Response:
    """The response to a request, streamed or whole; ended when the client disconnects."""
    if body.stream:
        usage = bool(body.stream_options and body.stream_options.include_usage)
        return await streamed(reply, begun[0], request, settings, include_usage=usage)
    results = [await until_gone(request, answering) for answering in begun]
    return JSONResponse(reply.whole(results))


async def _reply(kind: Kind, target: Target, request: Request, desk: Desk) -> Reply:
    def fingerprint() -> str:
        facts = {} if target.plain else desk.index(target.index).fingerprint
        return f"fp_{hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]}"

    base = str(request.base_url)
    return Reply(kind, target.model, target.index, base, await to_thread(fingerprint))


@router.post("/embeddings")
async def embeddings(body: EmbeddingsRequest, desk: Desks, settings: Set) -> dict[str, Any]:
    """Vectors of texts, by the embedder of an index."""
    body.check_extra()
    texts = body.texts(settings)
    target = await to_thread(target_of, desk, body.model)
    vectors, tokens = await desk.embed(target.index, texts)
    data = [
        {"object": "embedding", "index": position, "embedding": _encoded(vector, body.encoding_format)}
        for position, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": body.model, "usage": usage}


def _encoded(vector: np.ndarray[Any, Any], encoding: str) -> str | list[float]:
    if encoding == "base64":
        return base64.b64encode(vector.astype("<f4").tobytes()).decode()
    return [float(value) for value in vector]


@router.post("/rerank")
async def rerank(body: RerankRequest, desk: Desks, settings: Set) -> dict[str, Any]:
    """Texts by their nearness to a query, nearest first: the cosine of the embedder's vectors, 0 to 1."""
    body.check_extra()
    texts = body.texts(settings)
    if not body.query.strip():
        raise ConfigError("The query is blank.", remedy="Give one with words.")
    check_written("query", [body.query])
    if len(body.query) + sum(map(len, texts)) > settings.max_body_bytes:
        raise RequestTooLargeError("The texts are too long together.", remedy="Send fewer.")
    target = await to_thread(target_of, desk, body.model)
    vectors, tokens = await desk.embed(target.index, [body.query, *texts])
    scores = np.clip(vectors[1:] @ vectors[0], 0, 1)
    best = sorted(range(len(texts)), key=lambda position: -float(scores[position]))[: body.top_n]
    results = [
        {"index": position, "relevance_score": float(scores[position])}
        | ({"document": {"text": texts[position]}} if body.return_documents else {})
        for position in best
    ]
    return {"model": body.model, "results": results, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}
