"""Whether a zip archive, which is what torch saves, still holds what was written into it."""

from __future__ import annotations

import errno
import zipfile
from pathlib import Path

from .errors import lacks_memory


def is_archive(path: Path) -> bool:
    """Whether a file begins as a zip archive does; torch's old format does not."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def damage_of(path: Path) -> str:
    """What is damaged in a zip archive, by the checksum of each of its records; empty if nothing
    is. Reads the whole file, 500 MB in a tenth of a second where the system has it in memory.

    Archives that were written without checksums (``torch.serialization.set_crc32_options``) are
    looked at for their structure alone.

    Raises:
        OSError: the file cannot be read at all.
    """
    with path.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                if not any(record.CRC for record in archive.infolist()):
                    return "" if archive.infolist() else "it holds no records"
                record = archive.testzip()
        except OSError as error:
            if error.errno != errno.EINVAL:  # an offset that lies outside of the file
                raise
            return str(error)
        except Exception as error:  # zip, zlib, struct, value and runtime errors
            if lacks_memory(error):
                raise
            return str(error) or type(error).__name__
    return f"the checksum of {record} differs" if record else ""
