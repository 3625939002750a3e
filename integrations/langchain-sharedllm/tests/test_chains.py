"""In LangChain's own flows: prompt | model | parser, a RAG chain, create_retrieval_chain, history."""

from __future__ import annotations

from langchain_classic.chains.combine_documents import create_stuff_documents_chain
from langchain_classic.chains.retrieval import create_retrieval_chain
from langchain_core.messages import HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import RunnablePassthrough

QUESTION = "Where does the heron stand?"


def joined(documents):
    return "\n".join(document.page_content for document in documents)


def test_prompt_model_parser(chat):
    chain = ChatPromptTemplate.from_messages([("human", "{question}")]) | chat | StrOutputParser()
    assert chain.invoke({"question": QUESTION}) == chat.invoke(QUESTION).content
    assert "".join(chain.stream({"question": QUESTION})) == chat.invoke(QUESTION).content


async def test_a_rag_chain_of_retriever_and_plain_model(index, plain):
    prompt = ChatPromptTemplate.from_template("Text: {context}\n\nQuestion: {question}")
    retriever = index.as_retriever(k=2)
    chain = {"context": retriever | joined, "question": RunnablePassthrough()} | prompt | plain | StrOutputParser()
    text = joined(retriever.invoke(QUESTION))
    expected = plain.invoke(f"Text: {text}\n\nQuestion: {QUESTION}").content
    assert chain.invoke(QUESTION) == await chain.ainvoke(QUESTION) == expected
    assert "".join([piece async for piece in chain.astream(QUESTION)]) == expected


def test_citations_pass_through_a_chain(chat):
    chain = RunnablePassthrough.assign(message=lambda given: chat.invoke(given["question"]))
    cited = chain.invoke({"question": QUESTION})["message"].response_metadata["citations"]
    assert cited[0]["document"] == "birds.pdf"


def test_create_retrieval_chain(index, plain):
    prompt = ChatPromptTemplate.from_messages([("system", "Use this:\n{context}"), ("human", "{input}")])
    chain = create_retrieval_chain(index.as_retriever(k=2), create_stuff_documents_chain(plain, prompt))
    result = chain.invoke({"input": QUESTION})
    assert result["context"] == index.as_retriever(k=2).invoke(QUESTION)
    stuffed = "\n\n".join(document.page_content for document in result["context"])
    assert result["answer"] == plain.invoke([("system", f"Use this:\n{stuffed}"), ("human", QUESTION)]).content


def test_a_remembered_conversation_stands_before_the_question(chat):
    chain = ChatPromptTemplate.from_messages([MessagesPlaceholder("history"), ("human", "{question}")]) | chat
    first = chain.invoke({"question": QUESTION, "history": []})
    history = [HumanMessage(QUESTION), first]
    second = chain.invoke({"question": "What melts?", "history": history})
    assert second.content == chat.invoke([*history, HumanMessage("What melts?")]).content
    assert second.usage_metadata["input_tokens"] > chat.invoke("What melts?").usage_metadata["input_tokens"]
