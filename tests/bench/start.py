"""Start time and memory of the provider's process, with both clouds in it."""

import statistics

from contender import Contender, peer, smallest
from figure import Figure

ROUNDS = 9
# What a process may take: milliseconds to the schema, MB in a plan.
START_MAX = 20
MEMORY_MAX = 25


def measure(bed, programs, local, peers):
    """Beside the limits, beside the smallest provider, which has no cloud, and beside others."""
    ours = Contender(bed, "paymesh", programs / "terraform-provider-paymesh")
    ours.write(local)
    others = [smallest(bed, programs), *(peer(bed, one) for one in peers)]
    for small in others:
        small.hold(1)
    for contender in (ours, *others):
        contender.terraform("apply", "-auto-approve", "-input=false")
    starts = [[contender.schema_milliseconds() for contender in (ours, *others)] for _ in range(ROUNDS)]
    start, *starts_of_others = (statistics.median(column) for column in zip(*starts))
    memory, memory_of_small = ours.plan_megabytes(), others[0].plan_megabytes()
    ours.terraform("destroy", "-auto-approve", "-input=false")
    start_is = f"start to schema and end, ms (median of {ROUNDS})"
    memory_is = "most memory in a plan of two clusters, MB"
    return [
        Figure("start", start_is, start, "limit", START_MAX, 1.0),
        *(Figure("start", start_is, start, small.called, taken) for small, taken in zip(others, starts_of_others)),
        Figure("start", memory_is, memory, "limit", MEMORY_MAX, 1.0),
        Figure("start", memory_is, memory, "smallest provider", memory_of_small),
    ]
