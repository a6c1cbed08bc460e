"""Many resources that do next to nothing: what our framework and the wire cost.

Beside Terraform's built-in `terraform_data`, which has no plugin at all, and beside providers of others.
Core itself grows with the square of their number, so only our share, ours less `terraform_data`'s, is
held to a line.
"""

import statistics

from contender import built_in, peer, smallest
from figure import Figure

# First plans of so many resources, and how many of each.
PLANS = {1_000: 3, 10_000: 3}
LIVES = (500, 1_000, 2_000)
# A second plan of a life is short, so chance is much of it.
SECOND_PLANS = 3


def measure(bed, programs, peers):
    """Plans, and whole lives."""
    ours, core = smallest(bed, programs), built_in(bed)
    contenders = {contender.called: contender for contender in (ours, core, *(peer(bed, one) for one in peers))}
    most = {one.called: one.most for one in peers}
    figures, seconds = [], {}
    for count, rounds in PLANS.items():
        racers = [one for one in contenders.values() if count <= most.get(one.called, count)]
        taken = {one.called: [] for one in racers}
        for one in racers:
            one.hold(count)
        for _ in range(rounds):
            for one in racers:
                taken[one.called].append(one.terraform("plan", "-input=false")[1])
        seconds |= {(name, "first plan", count): statistics.median(times) for name, times in taken.items()}
        figures += beside(seconds, ours.called, "first plan", count, {core.called: 1.2})
    provider, terraform = ours.plan_seconds()
    figures.append(Figure(
        "trivial", f"processor time of the provider in a first plan of {max(PLANS):,}, s", provider, "of Terraform", terraform))
    for count in LIVES:
        for one in contenders.values():
            if count > most.get(one.called, count):
                continue
            one.hold(count)
            seconds[one.called, "apply", count] = one.terraform("apply", "-auto-approve", "-input=false")[1]
            seconds[one.called, "second plan", count] = statistics.median(
                one.terraform("plan", "-detailed-exitcode", "-input=false")[1] for _ in range(SECOND_PLANS))
            seconds[one.called, "destroy", count] = one.terraform("destroy", "-auto-approve", "-input=false")[1]
            one.forget()
        for what in ("apply", "second plan", "destroy"):
            figures += beside(seconds, ours.called, what, count, {core.called: 1.0} if what == "second plan" else {})
    few, many = LIVES[0], LIVES[-1]
    for what in ("apply", "second plan", "destroy"):
        share = {
            count: (seconds[ours.called, what, count] - seconds[core.called, what, count]) * 1000 / count
            for count in (few, many)
        }
        # Where ours takes no longer than the built-in there is no share of ours.
        if min(share.values()) > 0:
            figures.append(Figure(
                "trivial", f"our share of {what} at {many:,}, ms a resource", share[many], f"ours at {few}", share[few]))
    return figures


def beside(seconds, ours, what, count, aims):
    """One figure for each contender that was measured."""
    return [
        Figure("trivial", f"{what} of {count:,} resources, s", seconds[ours, what, count], name, taken, aims.get(name))
        for (name, measured, of), taken in seconds.items()
        if (measured, of) == (what, count) and name != ours
    ]
