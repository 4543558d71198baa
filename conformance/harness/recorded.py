"""How the cases differ that are meant to: a file for each section, in it, for each case, its name in brackets
and the lines of the difference: Envoy's after "- ", nginx's after "+ "."""


class Recorded:
    def __init__(self, directory):
        self.directory = directory
        self.sections = {}
        for path in sorted(directory.glob("*.diff")):
            section = self.sections.setdefault(path.stem, {})
            for line in path.read_text(encoding="utf-8").splitlines():
                if line.startswith("[") and line.endswith("]"):
                    lines = section.setdefault(line[1:-1], [])
                elif line:
                    lines.append(line)

    @staticmethod
    def place(case):
        section, _, name = case.name.partition(": ")
        return section, name

    def get(self, case):
        section, name = self.place(case)
        return self.sections.get(section, {}).get(name, [])

    def put(self, case, difference):
        section, name = self.place(case)
        cases = self.sections.setdefault(section, {})
        cases.pop(name, None)
        if case.differs and difference:
            cases[name] = difference

    def write(self):
        self.directory.mkdir(exist_ok=True)
        for section, cases in self.sections.items():
            path = self.directory / (section + ".diff")
            text = "\n".join("\n".join(["[%s]" % name] + cases[name]) + "\n"
                             for name in sorted(cases))
            if text:
                path.write_text(text, encoding="utf-8")
            else:
                path.unlink(missing_ok=True)
