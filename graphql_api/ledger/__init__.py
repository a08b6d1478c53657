"""The ledger of stock: lots are taken first expired, first in, first out; every bottle and cent is accounted for."""
