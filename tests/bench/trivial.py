"""Many resources that do next to nothing: what our framework and the wire cost.

Beside Terraform's built-in `terraform_data`, which has no plugin at all, and beside the null example
of tf-provider, the other framework in Rust. Core itself grows with the square of their number, so
only our share, ours less `terraform_data`'s, is held to a line.
"""

import statistics

from contender import built_in, peer, sample
from figure import Figure

# A plan of nothing that exists yet; what tf-provider is not asked takes it minutes.
PLANS = {1_000: 3, 10_000: 1}
LIVES = (500, 1_000, 2_000)
PEER_MAX = 1_000


def measure(bed, programs, peer_program):
    """Plans, and whole lives."""
    contenders = [sample(bed, programs), built_in(bed), peer(bed, peer_program)]
    ours, core = (contender.name for contender in contenders[:2])
    figures, seconds = [], {}
    for count, rounds in PLANS.items():
        for contender in contenders:
            if contender.name == "peer" and count > PEER_MAX:
                continue
            contender.hold(count)
            seconds[contender.name, "first plan", count] = statistics.median(
                contender.terraform("plan", "-input=false")[1] for _ in range(rounds))
        figures += beside(seconds, ours, "first plan", count, {core: 1.2})
    for count in LIVES:
        for contender in contenders:
            if contender.name == "peer" and count > PEER_MAX:
                continue
            contender.hold(count)
            for what, words in (
                ("apply", ("apply", "-auto-approve")),
                ("second plan", ("plan", "-detailed-exitcode")),
                ("destroy", ("destroy", "-auto-approve")),
            ):
                seconds[contender.name, what, count] = contender.terraform(*words, "-input=false")[1]
            contender.forget()
        for what in ("apply", "second plan", "destroy"):
            figures += beside(seconds, ours, what, count, {core: 1.0} if what == "second plan" else {})
    few, many = LIVES[0], LIVES[-1]
    for what in ("apply", "second plan", "destroy"):
        share = {
            count: max(seconds[ours, what, count] - seconds[core, what, count], 0.001) * 1000 / count
            for count in (few, many)
        }
        figures.append(Figure(
            "trivial", f"our share of {what} at {many:,}, ms a resource", share[many], f"ours at {few}", share[few]))
    return figures


def beside(seconds, ours, what, count, aims):
    """One figure for each contender that was measured."""
    return [
        Figure("trivial", f"{what} of {count:,} resources, s", seconds[ours, what, count],
               "tf-provider 0.2.2" if name == "peer" else name, taken, aims.get(name))
        for (name, measured, of), taken in seconds.items()
        if (measured, of) == (what, count) and name != ours
    ]
