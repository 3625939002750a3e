"""``python -m sharedllm_docs`` is the command ``sharedllm-docs``."""

from sharedllm_docs.cli.start import main

if __name__ == "__main__":
    main()
