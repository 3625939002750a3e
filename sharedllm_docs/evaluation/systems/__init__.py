"""Systems that answer the questions of a task: baselines and the project's own profiles, behind one small protocol."""
