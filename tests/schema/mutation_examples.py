"""All examples, by the name of the mutation; the modules of the examples enter them when they are imported."""

from tests.schema import account_examples, goods_examples
from tests.schema.mutation_walk import EXAMPLES

__all__ = ["EXAMPLES", "account_examples", "goods_examples"]
