import errno
import io

from loguru import logger

from halfcascade.bot.logs import log_to
from halfcascade.bot.session.redaction import Redactor


class FullDisk(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_log_on_a_full_disk_says_nothing_on_the_terminal(capsys):
    logger.remove()
    log_to(FullDisk(), Redactor())
    for _ in range(3):
        logger.info("Something happened.")
    logger.remove()
    assert capsys.readouterr() == ("", "")
