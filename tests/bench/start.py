"""Start time and memory of the provider's process, with both clouds in it."""

import statistics

from contender import Contender, sample
from figure import Figure

ROUNDS = 9
# What a process may take: milliseconds to the schema, MB in a plan.
START_MAX = 20
MEMORY_MAX = 25


def measure(bed, programs, local):
    """Beside the limits, and beside the sample, which has one small resource and no cloud."""
    ours = Contender(bed, "paymesh", programs / "terraform-provider-paymesh")
    ours.write(local)
    small = sample(bed, programs)
    small.hold(1)
    for contender in (ours, small):
        contender.terraform("apply", "-auto-approve", "-input=false")
    starts = [[contender.schema_milliseconds() for contender in (ours, small)] for _ in range(ROUNDS)]
    start, start_of_small = (statistics.median(column) for column in zip(*starts))
    memory, memory_of_small = ours.plan_megabytes(), small.plan_megabytes()
    ours.terraform("destroy", "-auto-approve", "-input=false")
    start_is = f"start to schema, ms (median of {ROUNDS})"
    memory_is = "most memory in a plan of two clusters, MB"
    return [
        Figure("start", start_is, start, "limit", START_MAX, 1.0),
        Figure("start", start_is, start, "sample provider", start_of_small),
        Figure("start", memory_is, memory, "limit", MEMORY_MAX, 1.0),
        Figure("start", memory_is, memory, "sample provider", memory_of_small),
    ]
