"""A table of checks: each is the median of the rounds beside what it should be."""

import statistics

import report


class Verdict:
    def __init__(self):
        self.lines = []
        self.good = True

    def row(self, title, values, form, required, fulfilled):
        """One line: the median of the values, their range, and whether it is what it should be."""
        if not values:
            self.lines.append([title, "missing", "–", required, "**FAIL**"])
            self.good = False
            return
        middle = statistics.median(values)
        passed = fulfilled(middle)
        self.good = self.good and passed
        self.lines.append([title, form(middle), f"{form(min(values))} … {form(max(values))}", required,
                           "pass" if passed else "**FAIL**"])

    def unknown(self, title, values, form, required, why):
        """One line that cannot be judged here: that is not a pass."""
        self.good = False
        middle, span = "–", "–"
        if values:
            middle, span = form(statistics.median(values)), f"{form(min(values))} … {form(max(values))}"
        self.lines.append([title, middle, span, required, f"**not judged**: {why}"])

    def table(self):
        return report.table(["check", "median", "range of the rounds", "required", "verdict"], self.lines)
