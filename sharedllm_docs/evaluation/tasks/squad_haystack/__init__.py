"""SQuAD questions whose paragraph stands among many others. See README.md beside this file."""
