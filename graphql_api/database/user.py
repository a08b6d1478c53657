"""Accounts: who can sign in, and in which role."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import CheckConstraint, Column, Index, Integer, Text
from sqlmodel import Field, SQLModel

from graphql_api.database.base import choice, instant, primary_key, text_column


class Role(StrEnum):
    """What somebody is to the company; rights hang on it."""

    ADMIN = "ADMIN"
    STAFF = "STAFF"
    SALESPERSON = "SALESPERSON"
    CUSTOMER = "CUSTOMER"


class Language(StrEnum):
    """A language that people are written to in."""

    EN = "en"
    AR = "ar"


class UserRow(SQLModel, table=True):
    """An account. It is made only after its e-mail address was proven, or by an administrator."""

    # not `user`, which is a keyword: `SELECT * FROM user` would read the name of the database's user
    __tablename__ = "user_account"
    __table_args__ = (
        CheckConstraint("email = lower(email) AND email LIKE '_%@_%'", name="email_canonical"),
        CheckConstraint("name <> ''", name="name_given"),
        CheckConstraint("password_hash LIKE '$argon2id$%'", name="password_hashed"),
        Index("ix_user_account_name_id", "name", "id"),
        # the administrators are counted whenever one of them is to lose the role
        Index("ix_user_account_active_admin", "id", postgresql_where="role = 'ADMIN' AND is_active"),
    )

    id: int = primary_key()
    email: str = Field(sa_column=Column(Text(collation="C"), nullable=False, unique=True))
    name: str = text_column()
    password_hash: str = Field(sa_column=Column(Text, nullable=False), repr=False)
    role: Role = choice(Role)
    language: Language = choice(Language, default=Language.EN)
    is_active: bool = Field(default=True, nullable=False, sa_column_kwargs={"server_default": "true"})
    email_verified_at: datetime = instant()
    version: int = Field(default=1, sa_type=Integer, nullable=False, sa_column_kwargs={"server_default": "1"})
    created_at: datetime = instant()
