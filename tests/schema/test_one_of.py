"""Inputs of which exactly one field is given: every way to get that wrong is told before anything runs."""

from typing import Any

import pytest

from tests.client import Client

REPORT = "salesReport(groupBy: [%s]) { totalGroups }"
EXACTLY_ONE = (
    "Within OneOf Input Object type 'GroupKey', exactly one field must be specified, "
    "and the value for that field must be non-null."
)
NULLABLE = "Variable '$bucket' must be non-nullable to be used for OneOf Input Object 'GroupKey'."
SPREAD = f"fragment Months on Query {{ {REPORT % '{time: $bucket}'} }}"


def operation(key: str, head: str = "") -> str:
    return f"{head} {{ {REPORT % key} }}"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (operation("{}"), EXACTLY_ONE),
        (operation("{time: null}"), EXACTLY_ONE),
        (operation("{time: MONTH, dimension: CITY}"), EXACTLY_ONE),
        (operation("{time: $nope}"), "Variable '$nope' is not defined."),
        (operation("{time: $bucket}", "query ($bucket: TimeBucket)"), NULLABLE),
        (operation("{time: $bucket}", "query ($bucket: TimeBucket = MONTH)"), NULLABLE),
        (f"{SPREAD} query ($bucket: TimeBucket) {{ ...Months }}", NULLABLE),
        (f"query ($bucket: TimeBucket) {{ ...Months }} {SPREAD}", NULLABLE),
    ],
)
async def test_anything_but_one_value_is_refused(client: Client, document: str, message: str) -> None:
    answer = await client.execute_raw(document, bucket="MONTH")

    assert [error["message"] for error in answer.errors] == [message]
    assert answer.codes == ["GRAPHQL_VALIDATION_FAILED"]


@pytest.mark.parametrize("key", [{}, {"time": None}, {"time": "MONTH", "dimension": "CITY"}])
async def test_variables_are_held_to_it_too(client: Client, key: dict[str, Any]) -> None:
    answer = await client.execute_raw(operation("$key", "query ($key: GroupKey!)"), key=key)

    assert answer.codes == ["BAD_USER_INPUT"]
    assert "exactly one" in answer.errors[0]["message"]


@pytest.mark.parametrize(
    "document",
    [
        operation("{time: $bucket}", "query ($bucket: TimeBucket!)"),
        f"{SPREAD} query ($bucket: TimeBucket!) {{ ...Months }}",
        f"query ($bucket: TimeBucket!) {{ ...Months }} {SPREAD}",
    ],
)
async def test_a_variable_that_is_always_given_is_one_value(client: Client, document: str) -> None:
    assert await client.execute(document, bucket="MONTH") == {"salesReport": {"totalGroups": 0}}
