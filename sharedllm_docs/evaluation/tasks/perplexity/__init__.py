"""How much an injected past helps to predict what follows. See README.md beside this file."""
