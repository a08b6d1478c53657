"""Messages of a group as they go to all of its subscribers, and what groups remember of them."""

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass

# What one group remembers at most.
MESSAGES = 256
GROUP_BYTES = 1 << 20
# What all groups of a process remember at most, together.
ROOM_BYTES = 64 << 20
# What a message takes besides its text.
OVERHEAD = 200


@dataclass(frozen=True, slots=True)
class Message:
    """One result, ready to be sent.

    Args:
        number: of its event.
        text: JSON; None when there is nothing to show.
        cursor: what a client goes on behind it with.
        is_last: whether nothing follows.
    """

    number: int
    text: str | None
    cursor: str
    is_last: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether subscribers need not hear of it."""
        return self.text is None and not self.is_last

    @property
    def size(self) -> int:
        """Bytes that it takes in memory, about: texts are ASCII."""
        return OVERHEAD + len(self.text or "")


class Room:
    """What all groups of a process remember together; who has added nothing for the longest time forgets first.

    Args:
        limit: bytes.
    """

    def __init__(self, limit: int = ROOM_BYTES) -> None:
        self._limit = limit
        self._memories: OrderedDict[Memory, None] = OrderedDict()
        self.taken = 0

    def take(self, memory: "Memory", size: int) -> None:
        """A memory has grown."""
        self.taken += size
        self._memories[memory] = None
        self._memories.move_to_end(memory)
        while self.taken > self._limit and self._memories:
            next(iter(self._memories)).forget_oldest()

    def give_back(self, memory: "Memory", size: int, *, is_empty: bool) -> None:
        """A memory has shrunk."""
        self.taken -= size
        if is_empty:
            self._memories.pop(memory, None)


class Memory:
    """Messages in order of their coming, the oldest forgotten where there are too many.

    Args:
        room: shared by all groups.
        most: how many are remembered.
    """

    def __init__(self, room: Room, most: int) -> None:
        self._room = room
        self._most = most
        self._messages: deque[Message] = deque()
        self._bytes = 0

    def add(self, message: Message) -> None:
        """Remember a message."""
        self._messages.append(message)
        self._bytes += message.size
        self._room.take(self, message.size)
        while len(self._messages) > self._most or self._bytes > GROUP_BYTES:
            self.forget_oldest()

    def forget_oldest(self) -> Message:
        """Forget the message that was added first."""
        message = self._messages.popleft()
        self._bytes -= message.size
        self._room.give_back(self, message.size, is_empty=not self._messages)
        return message

    def clear(self) -> None:
        """Forget everything."""
        while self._messages:
            self.forget_oldest()


class Ring(Memory):
    """The latest messages of a group, without a gap.

    Args:
        room: shared by all groups.
        start: the number of the event behind which messages are remembered.
    """

    def __init__(self, room: Room, start: int) -> None:
        super().__init__(room, MESSAGES)
        self.floor = start

    def forget_oldest(self) -> Message:
        """Forget the oldest message."""
        message = super().forget_oldest()
        self.floor = message.number
        return message

    def after(self, number: int) -> Sequence[Message]:
        """The messages behind event `number`, which is not below `floor`."""
        if not self._messages or self._messages[-1].number <= number:
            return ()
        return [message for message in self._messages if message.number > number]


class Past(Memory):
    """Messages of long ago that somebody who lies behind has just needed; others often need the same.

    Args:
        room: shared by all groups.
    """

    def __init__(self, room: Room) -> None:
        super().__init__(room, 2 * MESSAGES)
        self._by_number: dict[int, Message] = {}

    def get(self, number: int) -> Message | None:
        """The message of an event; None when it is not remembered."""
        return self._by_number.get(number)

    def add(self, message: Message) -> None:
        """Remember a message, once."""
        if message.number not in self._by_number:
            self._by_number[message.number] = message
            super().add(message)

    def forget_oldest(self) -> Message:
        """Forget what was needed the longest time ago."""
        message = super().forget_oldest()
        del self._by_number[message.number]
        return message
