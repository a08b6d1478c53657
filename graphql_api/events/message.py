"""What the relay tells the processes over the bus, as they read it."""

from typing import Any

from pydantic import AwareDatetime, BaseModel, Field, TypeAdapter, ValidationError, model_validator
from pydantic_core import to_json

from graphql_api.events.catalogue import Event, read_fact


class ToldEvent(BaseModel):
    """One event as it is told."""

    number: int
    topic: str
    recorded_at: AwareDatetime
    payload: dict[str, Any]


class Told(BaseModel):
    """Events that follow each other."""

    first: int = Field(ge=1)
    events: list[ToldEvent]

    @model_validator(mode="after")
    def _check_numbers(self) -> "Told":
        if [event.number for event in self.events] != list(range(self.first, self.first + len(self.events))):
            raise ValueError("The numbers have a gap.")
        return self


class ToldLast(BaseModel):
    """How far the log goes; the events themselves are read there."""

    last: int


MESSAGE: TypeAdapter[Told | ToldLast] = TypeAdapter(Told | ToldLast)


def read_message(text: str) -> Told | ToldLast | None:
    """What a message says; None when it says nothing that can be understood."""
    try:
        return MESSAGE.validate_json(text)
    except ValidationError:
        return None


def decode_event(told: ToldEvent) -> tuple[Event, int]:
    """An event with what it says, and the size of its payload in bytes of JSON."""
    payload = to_json(told.payload)
    fact = read_fact(told.topic, payload)
    return Event(told.number, told.topic, told.recorded_at, fact), len(payload)
