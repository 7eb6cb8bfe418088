"""Write the table of docs/settings.md anew from the settings themselves: `python scripts/settings-page.py`."""

from pathlib import Path

from halfcascade.bot.listings import settings_page

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"
BEGIN, END = "<!-- settings: made by scripts/settings-page.py -->\n", "\n<!-- end of settings -->"


def main() -> None:
    """Replace what stands between the marks."""
    page = PAGE.read_text(encoding="utf-8")
    head, _, rest = page.partition(BEGIN)
    PAGE.write_text(f"{head}{BEGIN}{settings_page()}{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
