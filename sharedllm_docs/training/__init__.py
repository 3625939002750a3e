"""Making adapters: the data, the objectives and the loop that trains the injection."""
