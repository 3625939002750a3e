"""Wordings of key-value contexts and questions, one ``Form`` for each kind of document."""

from __future__ import annotations

from dataclasses import dataclass

from sharedllm_docs_data.generate.base import Templates


@dataclass(frozen=True)
class Form:
    """A kind of document: how an entry is written, what precedes the entries, and how one value is asked for.

    ``{k}`` is the key, ``{v}`` the value. ``keys`` and ``values`` name makers of the generator.
    """

    name: str
    keys: str
    values: str
    heads: tuple[str, ...]
    entries: tuple[str, ...]
    ask: Templates
    between: str = "\n"
    tail: str = ""


FORMS: tuple[Form, ...] = (
    Form(
        "settings",
        "setting",
        "small_number",
        ("# Settings of the server", "[main]", "# generated, do not edit", ""),
        ("{k} = {v}", "{k}={v}", "{k}: {v}", "set {k} {v}"),
        Templates(
            "keyvalue.settings",
            (
                "What is the value of {k}?",
                "To what is {k} set?",
                "Which value does the file give to {k}?",
                "What is {k} set to?",
                "In the configuration, what is {k}?",
                "Read me the value of {k}.",
                "How is {k} configured?",
            ),
            ("Look up {k} and tell me its value.",),
        ),
    ),
    Form(
        "json",
        "hex",
        "hex",
        ("", "The records follow.", "Index:"),
        ('"{k}": "{v}",', "'{k}': '{v}'", "{k} -> {v}", "{k}\t{v}"),
        Templates(
            "keyvalue.json",
            (
                "What is the value for the key {k}?",
                "Which value belongs to {k}?",
                "What does {k} map to?",
                "Give the value stored under {k}.",
                "{k} stands for which value?",
                "Look up the key {k}.",
                "What is stored under {k}?",
            ),
            ("Return what {k} points to.",),
        ),
    ),
    Form(
        "phones",
        "person",
        "phone",
        ("Telephone list", "Staff directory", "Who to call", "Extensions", ""),
        ("{k}: {v}", "{k} ....... {v}", "{k} can be reached at {v}.", "Call {k} on {v}."),
        Templates(
            "keyvalue.phones",
            (
                "What is the telephone number of {k}?",
                "On which number can I reach {k}?",
                "How can {k} be reached by telephone?",
                "What number must I dial for {k}?",
                "Find the number of {k}.",
                "Which number is listed for {k}?",
            ),
            ("I want to ring up {k}. What is the number?",),
        ),
    ),
    Form(
        "stock",
        "good",
        "count",
        ("Stock list", "Inventory of the warehouse", "What is on the shelves", "Stock at the end of the month"),
        ("{k}: {v}", "{v} {k}", "- {k} ({v})", "We have {v} {k}.", "{k} in stock: {v}"),
        Templates(
            "keyvalue.stock",
            (
                "How many {k} are in stock?",
                "How many {k} are there?",
                "What is the number of {k}?",
                "How many {k} does the list show?",
                "Count of {k}, please: how many?",
                "What quantity of {k} is on the shelves?",
            ),
            ("Of {k}, how many do we have?",),
        ),
    ),
    Form(
        "prices",
        "good",
        "price",
        ("Price list", "Our prices", "Catalogue, page 4", "Prices valid from May"),
        ("{k}: {v}", "{k} cost {v}.", "- {k}, {v}", "{v} for {k}"),
        Templates(
            "keyvalue.prices",
            (
                "What do {k} cost?",
                "What is the price of {k}?",
                "How much are {k}?",
                "How much must be paid for {k}?",
                "Which price is given for {k}?",
            ),
            ("I would like to buy {k}. At what price?",),
        ),
    ),
    Form(
        "rooms",
        "person",
        "room",
        ("Who sits where", "Room plan", "Office list of the third floor", "Seating"),
        ("{k}: {v}", "{k} sits in {v}.", "{k} has {v}.", "- {k} ({v})"),
        Templates(
            "keyvalue.rooms",
            (
                "In which room does {k} sit?",
                "Where does {k} sit?",
                "Which room belongs to {k}?",
                "Where can I find {k}?",
                "What is the room of {k}?",
            ),
            ("I am looking for {k}. Which room?",),
        ),
    ),
    Form(
        "dates",
        "event",
        "date",
        ("Calendar", "Dates for your diary", "Coming events", "Schedule of the year"),
        ("{k}: {v}", "{v}: {k}", "{k} takes place on {v}.", "On {v}, {k}."),
        Templates(
            "keyvalue.dates",
            (
                "When does {k} take place?",
                "What is the date of {k}?",
                "On which day is {k}?",
                "For when is {k} planned?",
                "When is {k}?",
            ),
            ("On what date should I expect {k}?",),
        ),
    ),
    Form(
        "times",
        "event",
        "clock",
        ("Programme of the day", "Timetable", "Agenda", "Today"),
        ("{v} {k}", "{k} starts at {v}.", "{v} - {k}", "At {v}: {k}"),
        Templates(
            "keyvalue.times",
            (
                "At what time does {k} start?",
                "When does {k} begin today?",
                "At what time is {k}?",
                "What time is set for {k}?",
            ),
            ("By what time do I have to be there for {k}?",),
        ),
    ),
    Form(
        "jobs",
        "person",
        "profession",
        ("Guests", "List of participants", "Members of the club", "People of the village"),
        ("{k} is a {v}.", "{k}, {v}", "{k}: {v}", "By profession, {k} is a {v}."),
        Templates(
            "keyvalue.jobs",
            (
                "What does {k} do for a living?",
                "What is the profession of {k}?",
                "As what does {k} work?",
                "What is {k} by profession?",
                "Which occupation is given for {k}?",
            ),
            ("What line of work is {k} in?",),
        ),
    ),
    Form(
        "tickets",
        "ticket",
        "person",
        ("Open tickets", "Work orders", "Assignments of this week", "Cases"),
        ("{k} is assigned to {v}.", "{k}: {v}", "{v} works on {k}.", "{k} - {v}"),
        Templates(
            "keyvalue.tickets",
            (
                "Who works on {k}?",
                "To whom is {k} assigned?",
                "Whose is {k}?",
                "Who is responsible for {k}?",
                "Name the person who has {k}.",
            ),
            ("Whom should I ask about {k}?",),
        ),
    ),
    Form(
        "planets",
        "planet",
        "distance",
        ("Distances from the station", "From the pilot's handbook", "Star chart, explanations"),
        ("{k}: {v}", "{k} is {v} away.", "The way to {k} measures {v}.", "{k} ({v})"),
        Templates(
            "keyvalue.planets",
            (
                "How far away is {k}?",
                "What is the distance to {k}?",
                "How far is it to {k}?",
                "What distance is given for {k}?",
            ),
            ("If I fly to {k}, how far do I have to go?",),
        ),
    ),
    Form(
        "hobbies",
        "person",
        "hobby",
        ("About our members", "What we do on weekends", "Introducing the team"),
        ("{k} likes {v}.", "{k}: {v}", "The hobby of {k} is {v}.", "On weekends, {k} goes in for {v}."),
        Templates(
            "keyvalue.hobbies",
            (
                "What is the hobby of {k}?",
                "What does {k} like?",
                "How does {k} spend free time?",
                "What does {k} go in for?",
            ),
            ("Which pastime belongs to {k}?",),
        ),
    ),
)
