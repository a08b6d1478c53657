"""Changes told to many sockets, by our server, a Node `graphql-ws` server and plain Strawberry, all in one run.

    python -m benchmarks.subscriptions [--quick] [--only NAME] [--part throughput|delays|memory]

All are measured by the same client, which counts frames without reading them. The server has the first processor for
itself; the client, PostgreSQL, Valkey and whoever writes share the others. The two references are told of changes by
a request and keep nothing; ours by a real commit of another process: trigger, outbox, log, Redis, and out. Times count
from the moment at which the request or the COMMIT is sent.
"""

import argparse

from benchmarks.subscriptions.comparison import PARTS, run


def main() -> None:
    """Measure on servers of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="less of everything")
    parser.add_argument("--only", metavar="NAME", default="", help="one of the servers, by a part of its name")
    parser.add_argument("--part", choices=PARTS, action="append", help="may be given several times; default: all")
    arguments = parser.parse_args()
    run(is_quick=arguments.quick, only=arguments.only, parts=arguments.part or tuple(PARTS))


if __name__ == "__main__":
    main()
