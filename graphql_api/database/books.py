"""Checks of the books that were made by the clock or by an operator: what watches over them reads the last one."""

import datetime as dt

from sqlalchemy import ARRAY, Column, Text
from sqlmodel import Field, SQLModel

from graphql_api.database.base import big_integer, instant, primary_key


class BooksCheckRow(SQLModel, table=True):
    """One check of the books as they were at `checked_at`; `violated` names the checks that did not hold."""

    __tablename__ = "books_check"

    id: int = primary_key()
    checked_at: dt.datetime = instant()
    violated: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False))
    milliseconds: int = big_integer()
