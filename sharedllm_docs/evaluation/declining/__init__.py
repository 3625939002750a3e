"""Fits the decision between an answer and "The document does not say." on development data; see the README here."""
