"""Styled, full-width and joined letters: searched and read as plain ones, quoted as printed; other scripts' words."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.folding import fold_forms, fold_map
from sharedllm_docs.documents.sentences import quotable_spans, sentence_spans
from sharedllm_docs.documents.terms import Vocabulary, terms
from sharedllm_docs.documents.tokens import tokenize
from sharedllm_docs.retrieval.answer import best_quote, words


@pytest.mark.parametrize(
    ("printed", "plain"),
    [
        ("𝐩𝐫𝐨𝐟𝐢𝐭 𝑎𝑛𝑑 𝟒𝟏𝟐", "profit and 412"),
        ("ＴＥＬ ０３－１２３４", "TEL 03-1234"),
        ("ﬁrst oﬃce", "first office"),
        ("staƟonary buƩerfly aƩach igniƟon Ɵming", "stationary butterfly attach ignition timing"),
        ("㎏ ㎡", "kg m2"),
        ("ﻛﺘﺎﺏ", "كتاب"),
        ("250³ 10⁻⁶ ½ ①②", "250³ 10⁻⁶ ½ ①②"),
        ("H₂O …", "H₂O …"),
        ("Ɵ is a letter beside ɵ", "Ɵ is a letter beside ɵ"),
        ("Grüße, naïve, 東京", "Grüße, naïve, 東京"),
    ],
)
def test_forms_become_the_letters_they_show(printed: str, plain: str) -> None:
    assert fold_forms(printed) == plain


@given(st.text(max_size=60))
def test_every_folded_character_leads_back_to_its_place(text: str) -> None:
    found = fold_map(text)
    if found is None:
        assert fold_forms(text) == text
        return
    folded, places = found
    assert folded == fold_forms(text)
    assert len(places) == len(folded) + 1
    assert places == sorted(places)
    assert places[-1] == len(text)
    assert all(unicodedata.normalize("NFKC", text[a]) for a in places[:-1])


def test_the_model_reads_plain_letters_at_their_printed_places(llm) -> None:
    printed, plain = "the 𝐩𝐫𝐨𝐟𝐢𝐭 of oﬃce", "the profit of office"
    styled = tokenize(Document.from_text(printed, name="a"), llm.tokenizer)
    simple = tokenize(Document.from_text(plain, name="a"), llm.tokenizer)
    assert styled.ids.tolist() == simple.ids.tolist()
    start, end = styled.char_span(0, len(styled))
    assert (start, end) == (0, len(printed))


def test_words_are_found_whatever_their_form_and_the_quote_stays_as_printed() -> None:
    text = "Some words before.\nThe 𝐩𝐫𝐨𝐟𝐢𝐭 was 𝟑𝟖 crowns.\nMore words here."
    quote = best_quote(text, "What was the profit?", "38 crowns")
    assert text[quote.start : quote.end] == "The 𝐩𝐫𝐨𝐟𝐢𝐭 was 𝟑𝟖 crowns."
    assert quote.answers
    assert terms("ＰＲＯＦＩＴ") == terms("profit")


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ("Wie hoch sind die Gebühren für die Straße?", "Die Gebühren der Straße sind bei der Stadt hoch."),
        ("Quels sont les paquets installés?", "Le paquet est installé dans le système."),
        ("¿Cuántos paquetes hay en el repositorio?", "El paquete se encuentra en los repositorios."),
        ("Сколько пакетов в репозиториях?", "Этот пакет находится в репозитории."),
        ("كم هو الإيجار الشهري؟", "إيجار شهري قدره 750"),
        ("מהו שכר הדירה החודשי?", "שכר דירה חודשי הוא 750"),
        ("每月租金是多少？", "每月租金七百五十。"),
        ("管理人は誰ですか？", "管理人は佐々木です。"),
        ("월세는 얼마입니까?", "월세는 칠백오십입니다"),
    ],
)
def test_words_of_every_script_meet_their_other_forms(question: str, sentence: str) -> None:
    assert len(set(terms(question)) & set(terms(sentence))) >= 2


def test_english_is_searched_as_before() -> None:
    assert terms("How do I read tables with read.table?") == ["read", "table", "read.table", "read", "table"]


def test_the_vocabulary_numbers_what_terms_says() -> None:
    vocabulary = Vocabulary()
    for text in ("Die Gebühr ist in der Stadt.", "read.table of the 東京都 пакетов"):
        names = {number: name for name, number in vocabulary.items()}
        numbers = vocabulary.numbers(text)
        names = {number: name for name, number in vocabulary.items()}
        assert [names[number] for number in numbers] == terms(text)


@pytest.mark.parametrize(
    "sentences",
    [
        ["Am 3. Mai fährt das Schiff.", "Es kostet z. B. 12 Euro.", "Dr. Weber weiß es."],
        ["Il dit « Bonjour. »", "Puis il part.", "M. Dupont reste."],
        ["¿Cuánto cuesta?", "¡Nada!", "El Sr. Ruiz paga."],
        ["Он пришёл.", "Ушёл в 1999 г. домой.", "Затем всё."],
        ["ما هو؟", "هذا هو الجواب.", "انتهى."],
        ["מה זה?", "זו התשובה.", "סוף."],
        ["See Fig. 3 for it.", "The end!", "Next one."],
    ],
)
def test_sentences_end_where_their_language_ends_them(sentences: list[str]) -> None:
    text = " ".join(sentences)
    assert [text[a:b] for a, b in sentence_spans(text)] == sentences


@pytest.mark.parametrize(
    "sentences", [["每月租金是七百五十。", "管理人是谁？", "「好。」", "他说。"], ["雨です。", "本当！", "はい。"]]
)
def test_sentences_without_spaces(sentences: list[str]) -> None:
    text = "".join(sentences)
    assert [text[a:b] for a, b in sentence_spans(text)] == sentences


def test_a_broken_line_goes_on_in_small_letters_of_any_script() -> None:
    text = "Этот пакет находится в большом\nрепозитории."
    assert len(quotable_spans(text)) == 1


def test_an_answer_without_spaces_is_found_in_its_sentence() -> None:
    text = "地址是海边。每月租金是七百五十。管理人是李。"
    quote = best_quote(text, "每月租金是多少？", "七百五十")
    assert text[quote.start : quote.end] == "每月租金是七百五十。"
    assert words("七百五十") <= words(text)
