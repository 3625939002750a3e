"""The OpenAI-style API over the desk: a model is an index, a document of one, or ``plain`` (no documents)."""

from sharedllm_docs.serving.http.openai.routes import router as router
