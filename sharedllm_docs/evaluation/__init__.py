"""The measuring stick: tasks (questions with known answers), systems that answer them, and the metrics between."""
