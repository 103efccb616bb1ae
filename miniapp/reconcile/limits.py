"""What a file may cost before it is refused: bytes, ratio, members, and time and memory of a reading child."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """Caps for one file. A plain UTF-8 file is read where it lies, so it may be longer than an unpacked one."""

    unpacked_bytes: int = 512 * MIB
    file_bytes: int = 4096 * MIB
    ratio: int = 200
    # Small files may be as repetitive as they like.
    ratio_from_bytes: int = 16 * MIB
    members: int = 100
    child_memory_bytes: int = 4096 * MIB
    child_seconds: int = 300
