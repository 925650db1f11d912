"""``python -m cli``: what the launchers start their workers with."""

from cli.main import main

if __name__ == "__main__":
    main()
