"""The bot for Pipecat Cloud, and for Pipecat's own runner on this machine: it is found by its name."""

from halfcascade.bot import bot

__all__ = ["bot"]

if __name__ == "__main__":
    from pipecat.runner.run import main

    main()
