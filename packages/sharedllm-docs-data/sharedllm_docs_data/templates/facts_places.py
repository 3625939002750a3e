"""How facts about countries, places, currencies and languages are stated and asked for."""

from __future__ import annotations

from sharedllm_docs_data.templates.facts import Attribute, TableWords

PLACES: dict[str, TableWords] = {
    "country": TableWords(
        "country or territory",
        "countries and territories",
        (
            Attribute(
                "capital",
                "capital",
                (
                    "{v} is the capital of {n}.",
                    "The government of {n} sits in {v}, the capital.",
                    "{n} is governed from its capital, {v}.",
                ),
                ("Which city is the capital of {n}?", "What city is {n} governed from?"),
                back=True,
            ),
            Attribute(
                "alpha2",
                "two-letter code",
                ("{n} is written {v} in two letters.", "In lists of countries, {v} stands for {n}."),
                ("Which two letters stand for {n}?", "How is {n} written in two letters?"),
                back=True,
            ),
            Attribute(
                "alpha3",
                "three-letter code",
                ("In three letters, {n} becomes {v}.",),
                ("Which three letters stand for {n}?",),
                back=True,
            ),
            Attribute(
                "number",
                "numeric country code",
                ("{n} goes by the number {v}.",),
                ("Which number stands for {n}?",),
                back=True,
            ),
            Attribute(
                "official",
                "official name",
                ("Officially, {n} is called the {v}.", "{n} bears the official name {v}."),
                ("What is {n} officially called?", "What is the full, official name of {n}?"),
            ),
            Attribute(
                "dial",
                "dialling code",
                ("To telephone {n}, dial {v} first.", "Telephone calls to {n} begin with {v}."),
                ("What must be dialled to telephone {n}?", "With which digits does a call to {n} begin?"),
                back=True,
            ),
            Attribute(
                "domain",
                "internet domain",
                ("Web addresses in {n} end in {v}.",),
                ("What do web addresses in {n} end in?",),
                back=True,
            ),
        ),
        2.0,
    ),
    "currency": TableWords(
        "currency",
        "currencies",
        (
            Attribute(
                "code",
                "currency code",
                ("{v} is how banks abbreviate {n}.", "Banks write {v} for {n}."),
                ("How do banks abbreviate {n}?", "Which letters stand for {n}?"),
                back=True,
            ),
            Attribute(
                "number",
                "currency number",
                ("{n} also has the number {v}.",),
                ("Which number does {n} have?",),
                back=True,
            ),
        ),
    ),
    "language": TableWords(
        "language",
        "languages",
        (
            Attribute(
                "code",
                "language code",
                ("{v} stands for {n}.", "{n} is abbreviated {v}."),
                ("Which letters stand for {n}?", "How is the language {n} abbreviated?"),
                back=True,
            ),
            Attribute(
                "short",
                "short code",
                ("In two letters, {n} is {v}.",),
                ("Which two letters stand for {n}?",),
                back=True,
            ),
            Attribute(
                "kind",
                "status",
                ("{n} counts as a language that is {v}.", "The language {n} is classed as {v}."),
                ("How is {n} classed: living, extinct, ancient, historical or constructed?",),
            ),
        ),
        1.5,
    ),
    "division": TableWords(
        "division",
        "divisions of countries",
        (
            Attribute(
                "country",
                "country",
                ("{n} lies in {v}.", "{n} belongs to {v}.", "{n} is a part of {v}."),
                ("In which country is {n}?", "To which country does {n} belong?", "{n} is in which country?"),
            ),
            Attribute(
                "kind",
                "kind of division",
                ("{n} is a {v}.", "Its status: {n} is a {v}."),
                ("What kind of division is {n}?",),
            ),
            Attribute("code", "division code", ("{n} is coded {v}.",), ("How is {n} coded?",), back=True),
        ),
        2.0,
    ),
    "script": TableWords(
        "script",
        "scripts",
        (
            Attribute(
                "code",
                "script code",
                ("The script {n} is abbreviated {v}.",),
                ("How is the script {n} abbreviated?",),
                back=True,
            ),
            Attribute(
                "number",
                "script number",
                ("The script {n} is number {v}.",),
                ("What number does the script {n} have?",),
                back=True,
            ),
        ),
    ),
    "airport": TableWords(
        "airport",
        "airports",
        (
            Attribute(
                "code",
                "airport code",
                ("Luggage for {n} is tagged {v}.", "Pilots and travellers know {n} as {v}."),
                ("How is luggage for {n} tagged?", "Which three letters stand for {n}?"),
                back=True,
            ),
            Attribute(
                "city",
                "city",
                ("{n} serves {v}.", "Whoever flies to {v} lands at {n}."),
                ("Which city does {n} serve?", "In which city does one land at {n}?"),
            ),
            Attribute("country", "country", ("{n} is in {v}.",), ("In which country is {n}?",)),
        ),
        1.5,
    ),
    "place": TableWords(
        "place",
        "places of the world",
        (
            Attribute(
                "country",
                "country",
                ("{n} is found in {v}.", "{n} is in {v}."),
                ("In which country is {n}?", "Where is {n} found?"),
            ),
            Attribute("latitude", "latitude", ("{n} lies at {v}.",), ("At what latitude does {n} lie?",), back=True),
            Attribute(
                "longitude",
                "longitude",
                ("The meridian of {n} is {v}.",),
                ("At what longitude does {n} lie?",),
                back=True,
            ),
            Attribute(
                "elevation",
                "elevation",
                ("{n} rises to {v}.",),
                ("How high is {n}?", "To what height does {n} rise?"),
                back=True,
            ),
        ),
    ),
    "area": TableWords(
        "city",
        "cities with their area codes",
        (
            Attribute(
                "code",
                "area code",
                ("Telephone numbers in {n} begin with {v}.", "Dial {v} for {n}."),
                ("What do telephone numbers in {n} begin with?", "Which area code must be dialled for {n}?"),
            ),
            Attribute(
                "state",
                "state or province",
                ("{n} is in {v}.", "{n} is a city in {v}."),
                ("In which state or province is {n}?", "{n} is in which state or province?"),
            ),
        ),
        1.5,
    ),
    "state": TableWords(
        "state, province or territory",
        "states, provinces and territories",
        (
            Attribute(
                "code",
                "postal code",
                ("Letters to {n} are addressed {v}.", "{n} is abbreviated {v} on letters."),
                ("How is {n} abbreviated on letters?", "Which two letters stand for {n}?"),
                back=True,
            ),
        ),
        0.6,
    ),
}
