"""Transition tables: what may follow what, who acts next; the docs are drawn from the same table."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class States:
    """One machine. ``moves`` maps (state, verb) to the next state; ``waits_for`` says who acts next."""

    name: str
    start: str
    moves: dict[tuple[str, str], str]
    waits_for: dict[str, str] = field(default_factory=dict)

    def next(self, state: str, verb: str) -> str | None:
        """The state that a verb leads to, or None where the table has no such move."""
        return self.moves.get((state, verb))

    @property
    def all(self) -> list[str]:
        """Every state, the start first, in the order of the table."""
        seen = [self.start]
        for (before, _), after in self.moves.items():
            for state in (before, after):
                if state not in seen:
                    seen.append(state)
        return seen

    @property
    def ends(self) -> list[str]:
        """States that nothing leaves."""
        leaving = {before for before, _ in self.moves}
        return [state for state in self.all if state not in leaving]

    def check_sql(self, column: str = "state") -> str:
        """The text of a check constraint over the states."""
        return f"{column} IN ({', '.join(repr(state) for state in self.all)})"

    def mermaid(self) -> str:
        """The machine as a Mermaid state diagram, for the docs."""
        lines = ["stateDiagram-v2", f"  [*] --> {self.start}"]
        lines += [f"  {before} --> {after}: {verb}" for (before, verb), after in self.moves.items()]
        lines += [f"  {end} --> [*]" for end in self.ends]
        return "\n".join(lines)
