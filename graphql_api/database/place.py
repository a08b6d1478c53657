"""Where sales happen: counties and the distinct (city, zip, county) triples."""

from sqlalchemy import Index, Integer, UniqueConstraint
from sqlmodel import Field, SQLModel

from graphql_api.database.base import primary_key, reference, text_column


class CountyRow(SQLModel, table=True):
    """A county, identified by its number where the source gave one, else by its name."""

    __tablename__ = "county"
    __table_args__ = (
        Index("ix_county_name_id", "name", "id"),
        # A county without a number is its name; two nameless twins must not exist.
        Index("uq_county_name_unnumbered", "name", unique=True, postgresql_where="number IS NULL"),
        Index("ix_county_name_trigram", "name", postgresql_using="gin", postgresql_ops={"name": "gin_trgm_ops"}),
    )

    id: int = primary_key()
    number: int | None = Field(default=None, sa_type=Integer, unique=True, nullable=True)
    name: str = text_column()
    import_id: int | None = reference("import_job.id", nullable=True)


class PlaceRow(SQLModel, table=True):
    """A distinct combination of city, zip and county; each part may be unknown."""

    __tablename__ = "place"
    __table_args__ = (
        UniqueConstraint(
            "city",
            "zip_code",
            "county_id",
            name="uq_place_city_zip_code_county_id",
            postgresql_nulls_not_distinct=True,
        ),
        Index("ix_place_county_id", "county_id"),
        Index("ix_place_zip_code", "zip_code"),
        Index("ix_place_city", "city"),
        Index("ix_place_city_trigram", "city", postgresql_using="gin", postgresql_ops={"city": "gin_trgm_ops"}),
    )

    id: int = primary_key()
    city: str | None = text_column(nullable=True)
    zip_code: str | None = text_column(nullable=True)
    county_id: int | None = reference("county.id", nullable=True)
    import_id: int | None = reference("import_job.id", nullable=True)
