"""Where topic partitions begin or go on, also when their place no longer exists."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pipeline.kafka.admin import KafkaAdmin, Place, Topic
from pipeline.kafka.client import KafkaSettings
from pipeline.model.errors import StateError
from pipeline.sources.topics.began import Began, Beginnings
from pipeline.sources.topics.merging.side import BEFORE_ALL
from pipeline.sources.topics.stream import SidePlace
from pipeline.telemetry import log as logging
from pipeline.telemetry.happenings import PLACE_LOST

log = logging.get(__name__)

REMEDY = (
    "Set `source.kafka.out_of_range: earliest` (or `latest`) for one start to go on with what is there, or "
    "begin with a new state directory"
)


def is_another(known: str, id: str) -> bool:
    """Return whether a topic has another id than this; "" stands for an unknown id."""
    return known != id and bool(known and id)


class Places:
    """The places of one source.

    counts: the number of partitions of each topic as they were at first. known: what is known of each now.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        admin: KafkaAdmin,
        counts: Callable[[], Mapping[str, int]],
        known: Callable[[], Mapping[str, Topic]],
    ) -> None:
        self._settings = settings
        self._admin = admin
        self._counts = counts
        self._known = known

    def key(self, topic: str, index: int) -> str:
        """Return the key of a place within a position."""
        return f"{topic}/{index}" if self._settings.together else topic

    def adopted(self, name: str, stored: dict[str, SidePlace]) -> dict[str, SidePlace]:
        """Return the places of a position, provided that partitions were read in the same way as now.

        Topics of one partition are read in the same order either way. Raises StateError for others.
        """
        together = self._settings.together
        if all((place.partition >= 0) == together for place in stored.values()):
            return stored
        if max(self._counts().values()) > 1:
            was = "apart" if together else "together"
            raise StateError(
                f"{name}: the state directory was written by a job that reads the partitions {was}: set "
                f"`join: {{partitions: {was}}}`, or begin with a new state directory"
            )
        adopted = [place._replace(partition=0 if together else -1) for place in stored.values()]
        return {place.key: place for place in adopted}

    def place(
        self, topic: str, index: int, updates: bool, stored: SidePlace | None, began: Beginnings
    ) -> SidePlace:
        """Return where a topic partition begins or goes on."""
        if stored is not None:
            return self.checked(index, stored)
        start: Place = self._settings.users_start if updates else self._settings.start
        known, key = self._known()[topic].id, self.key(topic, index)
        offset = None if start == "earliest" else began.offset(key, known, start)
        is_new = offset is None
        if offset is None:
            if start != "earliest" and self._appeared_since(topic, index, began):
                start = "earliest"
            offset = self._admin.find(topic, index, start)
            if start != "earliest":
                began.note(key, Began(offset, self._counts()[topic], known, start))
        life, id = (self._settings.lives or {}).get(topic, (1, known))
        if is_another(known, id):
            life += 1
        stop, partition = self._stop(topic, index), index if self._settings.together else -1
        place = SidePlace(topic, offset, BEFORE_ALL, stop, life, known, partition)
        return place if is_new else self.checked(index, place)

    def checked(self, index: int, place: SidePlace, *, is_truncated: bool = False) -> SidePlace:
        """Return a place if the log still has it, else what `out_of_range` makes of it. Raises StateError."""
        topic, offset, known = place.topic, place.offset, self._known()[place.topic].id
        first, end = self._admin.find(topic, index, "earliest"), self._admin.find(topic, index, "log_end")
        made_anew = is_another(known, place.id)
        if first <= offset <= end and not made_anew and not is_truncated:
            return place._replace(id=known or place.id)
        policy = self._settings.out_of_range
        if made_anew:
            what = f"{topic} is not the topic that was read: it was made anew, or these brokers are another "
            what += f"cluster (its id is {known}; {place.id} was read up to {topic}/{index}:{offset})"
        elif offset < first:  # also where that was truncated
            what = f"{topic}/{index} begins at offset {first} now: {first - offset} offsets from {offset} on "
            what += "were removed (retention) before they were read"
        elif offset <= end:
            what = (
                f"{topic}/{index} lost records that were read before offset {offset}, and has others there "
            )
            what += "now: a replica that lacked them became its leader (unclean.leader.election.enable)"
        else:
            what = f"{topic}/{index} ends at offset {end}, but was read up to {offset}: "
            what += "it was recreated or truncated"
        if policy == "error":
            raise StateError(f"{what}. {REMEDY}")
        chosen = first if policy == "earliest" else self._admin.find(topic, index, "latest")
        begins_again = made_anew or is_truncated or chosen < offset
        skipped = chosen - first if begins_again else chosen - offset
        PLACE_LOST.happened(log, skipped, partition=f"{topic}/{index}", what=what, goes_on_at=chosen)
        if not begins_again:
            # The epoch of the record before it is unknown now.
            return place._replace(offset=chosen, id=known or place.id, epoch=-1)
        stop = self._stop(topic, index)
        return SidePlace(topic, chosen, BEFORE_ALL, stop, place.life + 1, known, place.partition)

    def vanished(self, index: int, place: SidePlace) -> SidePlace:
        """Handle a partition that is gone: only a recreated topic can have fewer.

        Returns its place in that topic, where it may come to be. Raises StateError.
        """
        if place.offset == 0:
            return place
        found = self._known()[place.topic]
        what = f"{place.topic} has {found.partitions} partitions now, but partition {index} of it was read "
        what += f"up to offset {place.offset}: it was made anew, or these brokers are another cluster"
        if self._settings.out_of_range == "error":
            raise StateError(f"{what}. {REMEDY}")
        PLACE_LOST.happened(log, 0, partition=f"{place.topic}/{index}", what=what, goes_on_at=None)
        return SidePlace(place.topic, 0, BEFORE_ALL, None, place.life + 1, found.id, place.partition)

    def _stop(self, topic: str, index: int) -> int | None:
        stop = self._settings.stop
        return (
            None if stop == "never" else self._admin.find(topic, index, "latest" if stop == "end" else stop)
        )

    def _appeared_since(self, topic: str, index: int, began: Beginnings) -> bool:
        """True for a partition added after the job's first start.

        Such a partition is read from its beginning, or what came before the restart would be lost. Where the
        state directory does not tell, as one of an older version, the group does: it has offsets of others.
        """
        had = began.had(topic, self._known()[topic].id, index)
        if had is not None:
            return not had
        known = self._admin.group_offsets(topic, self._counts()[topic])
        return bool(known) and index not in known
