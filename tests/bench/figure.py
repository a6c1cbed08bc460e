"""One line of the table."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Figure:
    """A measure of ours beside a peer or a limit of the same run."""

    part: str  # the part of the benchmark that measured it
    what: str
    ours: float
    beside: str  # what `theirs` is of
    theirs: float
    aim: "float | None" = None  # the greatest ratio that is wanted

    @property
    def ratio(self) -> float:
        return self.ours / self.theirs

    @property
    def verdict(self) -> str:
        if self.aim is None:
            return ""
        return f"{'met' if self.ratio <= self.aim else 'missed'} (at most {self.aim:g})"

    def cells(self) -> tuple:
        """Its columns as text."""
        return (self.what, number(self.ours), self.beside, number(self.theirs), f"{self.ratio:.2f}", self.verdict)


HEADINGS = ("what", "ours", "beside", "theirs", "ratio", "aim")


def number(value) -> str:
    """Three digits are enough."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
