"""One folder per task: its data, how the data was made or is checked, and a README."""
