"""Lighter markups to plain text: POD, Markdown, AsciiDoc man pages, Vim help, and text that is plain already."""

from __future__ import annotations

import re

_POD_ENTITIES = {"lt": "<", "gt": ">", "verbar": "|", "sol": "/", "quot": '"', "amp": "&", "nbsp": " "}
_POD_CODE = re.compile(r"([A-Z])<([^<>]*)>")
_POD_WIDE = re.compile(r"([A-Z])(<{2,})\s+(.*?)\s+>{2,}", re.DOTALL)


def clean_plain(text: str) -> tuple[str, str]:
    """Text as it stands; the title is its first line."""
    return text.strip().partition("\n")[0].strip()[:120], text


def _pod_code(letter: str, inner: str) -> str:
    if letter in "XZ":
        return ""
    if letter == "E":
        return _POD_ENTITIES.get(inner, "")
    if letter == "L":
        shown, bar, _ = inner.partition("|")
        if bar or "://" in shown:
            return shown
        page, _, section = shown.partition("/")
        return f"{section} in {page}".replace('"', "") if page and section else (section or page).strip('"')
    return inner


def _pod_paragraph(paragraph: str) -> str:
    paragraph = _POD_WIDE.sub(
        lambda code: _pod_code(code[1], _pod_paragraph(code[3]).replace("<", "\x01").replace(">", "\x02")), paragraph
    )
    while _POD_CODE.search(paragraph):
        paragraph = _POD_CODE.sub(
            lambda code: _pod_code(code[1], code[2]).replace("<", "\x01").replace(">", "\x02"), paragraph
        )
    return paragraph.replace("\x01", "<").replace("\x02", ">")


def clean_pod(text: str) -> tuple[str, str]:
    """Perl's documentation; the title is the line under NAME."""
    kept: list[str] = []
    skipping = not re.match(r"\s*=", text) and "\n=" in text
    for paragraph in re.split(r"\n[ \t]*\n", text):
        command = re.match(r"=(\w+)\s*(.*)", paragraph.strip("\n"), re.DOTALL)
        if command is None:
            if not skipping:
                verbatim = paragraph.startswith((" ", "\t"))
                kept.append(paragraph if verbatim else _pod_paragraph(paragraph))
            continue
        name, rest = command[1], command[2]
        skipping = name in ("begin", "cut", "for") or (skipping and name != "end" and name not in ("pod", "head1"))
        if name.startswith("head") or name == "item":
            shown = _pod_paragraph(rest).strip()
            kept.append(f"- {shown}" if name == "item" and shown not in "*" else shown)
    blocks = [block.strip("\n") for block in kept if block.strip() not in ("", "*")]
    title = next((blocks[i + 1].strip() for i, block in enumerate(blocks[:-1]) if block.strip() == "NAME"), "")
    return title.partition("\n")[0], "\n\n".join(blocks)


def clean_markdown(text: str) -> tuple[str, str]:
    """Markdown as the Anarchist FAQ uses it."""
    text = re.sub(r"<[^>\n]{1,200}>", "", text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"^\s*\[[^\]]+\]:\s*\S+.*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"(?<![\w*])(\*{1,3}|_{1,3})(?=\S)(.+?)(?<=\S)\1(?![\w*])", r"\2", text, flags=re.DOTALL)
    text = re.sub(r"\\([-\\`*_{}\[\]()#+.!>])", r"\1", text)
    text = re.sub(r"^>[ ]?", "", text, flags=re.MULTILINE)
    text = re.sub(r"[ ]*#+[ ]*$", "", re.sub(r"^#+[ ]*", "", text, flags=re.MULTILINE), flags=re.MULTILINE)
    text = re.sub(r"^\s*(\* ){3,}\*?\s*$|^-{3,}$|^={3,}$", "", text, flags=re.MULTILINE)
    title = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return title[:120], text


def clean_asciidoc(text: str) -> tuple[str, str]:
    """AsciiDoc as git's manual pages use it."""
    title = text.strip().partition("\n")[0].strip("= ")
    text = re.sub(r"^(ifdef|ifndef|ifeval|endif|include|image|anchor)::.*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^(\[[^\]\n]*\]|:[\w-]+:.*|//.*|\+|--)$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^([-=~^+.*_])\1{3,}$", "", text, flags=re.MULTILINE)
    text = re.sub(r"linkgit:([\w-]+)\[(\d+)\]", r"\1(\2)", text)
    text = re.sub(r"(?:link:|xref:|https?:)(\S+?)\[([^\]]*)\]", lambda link: link[2] or link[1], text)
    text = re.sub(r"<<[^,>\n]+,([^>]+)>>", r"\1", text)
    text = re.sub(r"<<([^>\n]+)>>", r"\1", text)
    text = re.sub(r"\[\[[^\]\n]+\]\]", "", text)
    text = re.sub(r"^(=+)[ ]+", "", text, flags=re.MULTILINE)
    text = text.replace("{plus}", "+").replace("{caret}", "^").replace("{tilde}", "~").replace("{startsb}", "[")
    text = re.sub(r"`\+?([^`\n]+?)\+?`", r"\1", text)
    text = re.sub(r"(?<![\w'])'([^'\n]+)'(?![\w'])", r"\1", text)
    return title, re.sub(r"(\S)::$", r"\1:", text, flags=re.MULTILINE)


def clean_vim_help(text: str) -> tuple[str, str]:
    """Vim's help: tags and links without their bars and stars."""
    first = text.partition("\n")[0]
    title = re.sub(r"\*([^*\s]+)\*", r"\1", first).split("\t")[0].strip()
    text = re.sub(r"[ \t]*\*[^*\s|]+\*(?=\s|$)", "", text)
    text = re.sub(r"\|([^|\s]+)\|", r"\1", text)
    text = re.sub(r"^([=\-])\1{10,}.*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"\s>$", "", re.sub(r"^<", "", text, flags=re.MULTILINE), flags=re.MULTILINE)
    text = re.sub(r"[ \t]*~$", "", text, flags=re.MULTILINE)
    return title, re.sub(r"^\s*vim:.*$", "", text, flags=re.MULTILINE)
