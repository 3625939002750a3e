"""What answers the questions of a task: baselines and the project's own profiles, all behind one small protocol."""
