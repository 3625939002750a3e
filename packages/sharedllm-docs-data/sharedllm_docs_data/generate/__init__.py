"""Generated questions, one module per kind; ``templates`` holds their wording, some of it held out of training."""
