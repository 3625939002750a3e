"""SQuAD questions whose paragraph is hidden among many others. See README.md beside this file."""
