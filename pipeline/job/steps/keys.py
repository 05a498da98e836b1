"""Keys of the stateful steps, chosen so that Bytewax spreads them evenly over 1 to 8 workers.

Bytewax places a key by a hash of its text; plain "0".."7" land 6 to 2 on two workers. The suffixes below were
found by search: the key of shard n lands on worker n mod w for every w from 1 to 8. They are part of the
state's schema: never change one.
"""

from __future__ import annotations

from zlib import crc32

from pipeline.config.models.installation.job import MAX_SHARDS

_SUFFIXES = (
    1784, 812, 104, 360, 1383, 233, 317, 2466, 69, 182, 1739, 68,
    2729, 1296, 1980, 201, 459, 1089, 223, 6, 1258, 1387, 217, 177,
    162, 53, 987, 997, 1329, 316, 816, 830, 734, 200, 2234, 770,
    1494, 333, 390, 2783, 917, 2085, 213, 279, 759, 825, 366, 1847,
    1055, 479, 679, 2359, 273, 881, 1916, 781, 1303, 289, 1535, 495,
    415, 398, 837, 66,
)  # fmt: skip


_KEYS = tuple(f"s{shard}.{suffix}" for shard, suffix in enumerate(_SUFFIXES))


def shard_key(shard: int) -> str:
    """Return the Bytewax key of a shard, 0 <= shard < MAX_SHARDS."""
    return _KEYS[shard]


def identity_key(partition: str) -> str:
    """Return the Bytewax key of a source partition's identity step.

    It lands on the worker that reads the partition, so that its records need not cross to another one:
    Bytewax deals partitions out to the workers in the order of their names.
    """
    if partition == "recording":
        return shard_key(0)
    number = partition.removeprefix("kafka-")
    return shard_key(int(number)) if number.isdecimal() and int(number) < MAX_SHARDS else partition


def shard_of(user_key: str, shards: int) -> int:
    """Return the shard of a user: stable across processes, versions and machines."""
    return crc32(user_key.encode("utf-8", "surrogatepass")) % shards
