"""``python -m cli``: the launchers start their workers with this."""

from cli.main import main

if __name__ == "__main__":
    main()
