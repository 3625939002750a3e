"""Wordings of pass keys hidden in text, and of needles: facts that stand out from the text around them."""

from __future__ import annotations

from sharedllm_docs_data.generate.base import Templates

# (statement, questions about it); {v} is the value
PASSKEYS: tuple[tuple[str, Templates], ...] = tuple(
    (statement, Templates(f"passkey.{name}", train, heldout))
    for name, statement, train, heldout in (
        (
            "key",
            "The pass key is {v}. Remember it. {v} is the pass key.",
            (
                "What is the pass key?",
                "Which pass key is hidden in the text?",
                "Tell me the pass key.",
                "The pass key is what?",
                "Find the pass key in the document.",
            ),
            ("What pass key were you asked to remember?",),
        ),
        (
            "number",
            "One more thing to keep in mind: the secret number is {v}.",
            (
                "What is the secret number?",
                "Which secret number does the text mention?",
                "Which number is to be kept in mind?",
            ),
            ("Name the secret number.",),
        ),
        (
            "code",
            "The access code for the vault is {v}.",
            (
                "What is the access code for the vault?",
                "Which code opens the vault?",
                "With which code is the vault accessed?",
            ),
            ("How do I get into the vault?",),
        ),
        (
            "password",
            "Please note that the password has been changed to {v}.",
            ("What is the new password?", "To what has the password been changed?", "Which password is valid now?"),
            ("What must I type as the password?",),
        ),
        (
            "pin",
            "The PIN of the safe is {v}, and it must not be lost.",
            ("What is the PIN of the safe?", "Which PIN must not be lost?", "What PIN does the safe have?"),
            ("Which PIN opens the safe?",),
        ),
        (
            "magic",
            "The special magic number mentioned here is {v}.",
            (
                "What is the special magic number?",
                "Which magic number is mentioned?",
                "What magic number does the text mention?",
            ),
            ("Repeat the special magic number.",),
        ),
        (
            "booking",
            "Our booking reference is {v}.",
            (
                "What is our booking reference?",
                "Under which reference have we booked?",
                "Which booking reference is given?",
            ),
            ("What reference do I quote for our booking?",),
        ),
        (
            "serial",
            "The serial number on the back of the device reads {v}.",
            (
                "What is the serial number of the device?",
                "What does the serial number on the back of the device read?",
                "Which serial number is on the device?",
            ),
            ("What is printed on the back of the device?",),
        ),
        (
            "flag",
            "Hidden between these lines is the flag {v}.",
            ("What is the hidden flag?", "Which flag is hidden between the lines?", "Find the flag."),
            ("Capture the flag: what is it?",),
        ),
        (
            "frequency",
            "The emergency frequency tonight is {v}.",
            ("What is the emergency frequency tonight?", "On which frequency are emergencies handled tonight?"),
            ("Which frequency do I tune to in an emergency tonight?",),
        ),
        (
            "word",
            "The agreed code word is \u201c{v}\u201d.",
            ("What is the agreed code word?", "Which code word was agreed?", "What code word do we use?"),
            ("Say the code word.",),
        ),
        (
            "account",
            "Payments go to the account {v} from now on.",
            (
                "To which account do payments go?",
                "Which account is used for payments from now on?",
                "Where do payments go from now on?",
            ),
            ("Which account number should I pay to?",),
        ),
    )
)

# Needles: (statement, questions for the value, questions for the key); {k} the key, {v} the value
NEEDLES: tuple[tuple[str, str, str, Templates], ...] = tuple(
    (statement, keys, values, Templates(f"needles.{name}", train, heldout))
    for name, statement, keys, values, train, heldout in (
        (
            "magic",
            "One of the special magic numbers for {k} is: {v}.",
            "word",
            "number",
            (
                "What is the special magic number for {k}?",
                "Which magic number belongs to {k}?",
                "Give the magic number for {k}.",
            ),
            ("{k} has which special magic number?",),
        ),
        (
            "place",
            "The {k} is kept in {v}.",
            "thing",
            "container",
            ("Where is the {k} kept?", "In what is the {k} kept?", "Where can the {k} be found?"),
            ("I need the {k}. Where do I look?",),
        ),
        (
            "favourite",
            "The favourite pastime of {k} is {v}.",
            "person",
            "hobby",
            ("What is the favourite pastime of {k}?", "Which pastime does {k} like best?"),
            ("How does {k} like best to pass the time?",),
        ),
        (
            "code",
            "The door code for {k} is {v}.",
            "room",
            "number",
            ("What is the door code for {k}?", "Which code opens {k}?", "What code must I enter at {k}?"),
            ("How do I unlock {k}?",),
        ),
        (
            "born",
            "{k} was born in the month of {v}.",
            "person",
            "month",
            ("In which month was {k} born?", "What is the month of birth of {k}?", "When, in the year, was {k} born?"),
            ("In what month does {k} have a birthday?",),
        ),
        (
            "works",
            "{k} works as a {v}.",
            "person",
            "profession",
            ("What does {k} work as?", "What is the profession of {k}?", "What does {k} do?"),
            ("How does {k} earn a living?",),
        ),
        (
            "badge",
            "The badge number of {k} is {v}.",
            "person",
            "number",
            (
                "What is the badge number of {k}?",
                "Which badge number does {k} have?",
                "Which number is on the badge of {k}?",
            ),
            ("What number does {k} wear?",),
        ),
        (
            "shelf",
            "In the stock book, {k} are entered under {v}.",
            "good",
            "code",
            ("Under what are {k} entered in the stock book?", "Which entry in the stock book do {k} have?"),
            ("Where in the stock book do I find {k}?",),
        ),
        (
            "mascot",
            "The mascot of the {k} department is the {v}.",
            "team",
            "animal",
            ("What is the mascot of the {k} department?", "Which animal is the mascot of the {k} department?"),
            ("Which animal stands for the {k} department?",),
        ),
        (
            "colour",
            "The {k} has been painted {v}.",
            "object",
            "colour",
            (
                "What colour has the {k} been painted?",
                "In which colour is the {k} painted?",
                "What is the colour of the {k}?",
            ),
            ("Which paint was used on the {k}?",),
        ),
        (
            "date",
            "{k} has been moved to {v}.",
            "event",
            "date",
            ("To which date has {k} been moved?", "When does {k} take place now?", "What is the new date of {k}?"),
            ("When do I have to come for {k}?",),
        ),
        (
            "hint",
            "As a side remark, {k} lives in a place called {v}.",
            "person",
            "planet",
            ("Where does {k} live?", "In which place does {k} live?", "What is the place called where {k} lives?"),
            ("What is the home of {k} called?",),
        ),
    )
)
ALL_VALUES = Templates(
    "needles.all",
    train=(
        "What are all the special magic numbers for {k} in the text?",
        "Name all magic numbers for {k}.",
        "Which magic numbers are given for {k}?",
        "List every magic number for {k}.",
    ),
    heldout=("{k} has several magic numbers. Which ones?",),
)
BOTH = Templates(
    "needles.both",
    train=("{a} And {b}", "First: {a} Second: {b}", "Two questions. {a} {b}", "{a} Also: {b}"),
    heldout=("Answer both: {a} {b}",),
)
VARIABLES = Templates(
    "needles.variable",
    train=(
        "What is the value of {x} at the end?",
        "Which value does {x} have?",
        "Follow the assignments: what is {x}?",
        "What number does {x} hold?",
        "Which number is {x} equal to?",
    ),
    heldout=("Trace {x} back: what is its value?",),
)
ASSIGNMENTS = (
    "VAR {x} = {v}",
    "{x} is set to {v}.",
    "Let {x} be {v}.",
    "{x} := {v}",
    "The variable {x} takes the value of {v}.",
)
