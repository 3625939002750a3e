"""Systems that answer the questions of a task: baselines and the project's own profiles, with one small protocol."""
