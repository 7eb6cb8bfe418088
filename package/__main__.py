"""``python -m halfcascade``: the command line."""

from halfcascade.bot.cli import run

if __name__ == "__main__":
    run("python -m halfcascade")
