"""Generated questions, one kind a module; ``templates`` holds their wording, some of it held out of training."""
