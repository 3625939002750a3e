"""How facts about elements, time zones, regions, characters, units and packages are stated and asked for."""

from __future__ import annotations

from sharedllm_docs_data.templates.facts import Attribute, TableWords

THINGS: dict[str, TableWords] = {
    "element": TableWords(
        "element",
        "chemical elements",
        (
            Attribute(
                "symbol",
                "chemical symbol",
                ("Chemists write {v} for {n}.", "{n} is written {v}."),
                ("How do chemists write {n}?", "Which letters stand for {n} in formulas?"),
                back=True,
            ),
            Attribute(
                "number",
                "atomic number",
                ("{n} is element number {v}.", "An atom of {n} has {v} protons."),
                ("How many protons does an atom of {n} have?", "Which number does {n} have among the elements?"),
                back=True,
            ),
            Attribute(
                "weight",
                "atomic weight",
                ("Its atoms weigh {v}: that is {n}.",),
                ("How heavy is an atom of {n}?",),
                back=True,
            ),
            Attribute(
                "year",
                "year of discovery",
                ("{n} was discovered in {v}.", "The discovery of {n} dates from {v}."),
                ("When was {n} discovered?", "In which year was {n} discovered?"),
            ),
        ),
        1.2,
    ),
    "zone": TableWords(
        "time zone",
        "time zones",
        (
            Attribute(
                "country",
                "country",
                ("The time zone {n} is kept in {v}.", "{n} is a time zone of {v}."),
                ("In which country is the time zone {n} kept?", "Whose time zone is {n}?"),
            ),
            Attribute(
                "coordinates",
                "position",
                ("The point of {n} has the coordinates {v}.",),
                ("Which coordinates does {n} have?",),
                back=True,
            ),
        ),
    ),
    "region": TableWords(
        "region",
        "regions and their capitals",
        (
            Attribute(
                "capital",
                "capital",
                ("{v} is the capital of {n}.", "{n} is administered from {v}.", "The seat of {n} is {v}."),
                ("Which town is the capital of {n}?", "From where is {n} administered?"),
                back=True,
            ),
            Attribute(
                "country",
                "country",
                ("{n} is a region of {v}.", "{n} lies in {v}."),
                ("In which country is {n}?", "To which country does {n} belong?"),
            ),
        ),
        2.0,
    ),
    "character": TableWords(
        "character",
        "characters",
        (
            Attribute(
                "point",
                "code point",
                ("{n} is encoded as {v}.", "{v} encodes {n}."),
                ("How is {n} encoded?", "At which code point is {n}?"),
                back=True,
            ),
            Attribute("category", "category", ("{n} is classed as: {v}.",), ("How is {n} classed?",)),
        ),
        1.5,
    ),
    "unit": TableWords(
        "unit",
        "units of measurement",
        (
            Attribute(
                "amount",
                "definition",
                ("One {n} equals {v}.", "A {n} is {v}.", "{v} make one {n}.", "There are {v} in a {n}."),
                ("How much is one {n}?", "What does one {n} equal?", "How is the {n} defined?"),
            ),
        ),
        1.0,
    ),
    "package": TableWords(
        "package",
        "software packages",
        (
            Attribute(
                "version",
                "version",
                ("{n} is at version {v}.", "The current release of {n} is {v}.", "Version {v} of {n} is packaged."),
                (
                    "Which version of {n} is packaged?",
                    "At which version is {n}?",
                    "What is the current release of {n}?",
                ),
                back=True,
            ),
            Attribute(
                "section",
                "section",
                ("{n} is filed under {v}.", "Look for {n} in the section {v}."),
                ("Under what is {n} filed?", "In which section is {n}?"),
            ),
            Attribute(
                "source", "source package", ("{n} is built from the source {v}.",), ("From which source is {n} built?",)
            ),
            Attribute(
                "size",
                "installed size",
                ("{n} takes {v} on the disk.", "Installing {n} needs {v} of disk space."),
                ("How much disk space does {n} take?", "How large is {n} once installed?"),
                back=True,
            ),
            Attribute(
                "homepage",
                "homepage",
                ("More about {n} is found at {v}.",),
                ("Where is more about {n} found?", "Which web page belongs to {n}?"),
            ),
            Attribute(
                "needs",
                "first dependency",
                ("{n} depends first of all on {v}.", "Before {n} can run, {v} must be installed."),
                ("On what does {n} depend first of all?", "What must be installed before {n} can run?"),
            ),
            Attribute(
                "about",
                "short description",
                ("{n} in short: {v}.", "{n} is described as: {v}."),
                ("How is {n} described?", "What is {n}, in short?", "What is the package {n} for?"),
                back=True,
            ),
        ),
        2.5,
        keeps_case=True,
    ),
}
