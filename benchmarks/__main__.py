"""All benchmarks, on made-up data: `python -m benchmarks [--lines N]`."""

import argparse
import asyncio

from benchmarks import authentication, invoice_issue
from benchmarks.import_speed import bench_servers, compare
from benchmarks.report_latency import measure_reports
from benchmarks.sales_data import write_sales_file
from benchmarks.subscriptions import comparison


def main() -> None:
    """Import a file, ask for reports over it, sign in, issue invoices, tell subscribers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=625_000)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--invoices", type=int, default=1_000)
    parser.add_argument("--requests", type=int, default=2_000)
    arguments = parser.parse_args()
    with bench_servers() as (url, folder):
        path = folder / "made-up.csv"
        write_sales_file(path, arguments.lines)
        compare(url, folder, path)
        asyncio.run(measure_reports(url, arguments.runs))
    authentication.run(arguments.requests)
    invoice_issue.run(arguments.invoices, rounds=3)
    comparison.run()


if __name__ == "__main__":
    main()
