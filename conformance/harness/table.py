"""What this library says it has: THE TABLE, its callbacks, and the paragraphs of DIFFERENCES.md."""

import re


class Library:
    def __init__(self, repo):
        table = (repo / "src/hostcalls/mod.rs").read_text()
        table = table[table.index("table! {"):]
        self.rows = {}
        self.aliases = {}
        for names, body in re.findall(r'((?:"proxy_\w+"\s*\|?\s*)+)=\s*\{\s*(\w+)', table):
            names = re.findall(r'"(\w+)"', names)
            self.rows[names[0]] = body != "unimplemented"
            for alias in names[1:]:
                self.aliases[alias] = names[0]
        callbacks = (repo / "src/callbacks.rs").read_text()
        self.callbacks = set(re.findall(r"\b(proxy_(?:on|validate)_\w+)\b", callbacks))
        # The name that some SDKs give another: Envoy does not call it.
        self.callbacks.discard("proxy_on_grpc_trailing_metadata")
        differences = (repo / "docs/DIFFERENCES.md").read_text()
        differences = re.sub(r"\s+", " ", differences.split("\n## To Envoy")[1].split("\n## ")[0])
        self.headings = re.findall(r"\*\*(.+?)\*\*", differences)

    def is_known(self, name):
        return name in self.rows or name in self.aliases or name in self.callbacks

    def is_built(self, name):
        name = self.aliases.get(name, name)
        return self.rows.get(name, name in self.callbacks)

    def must_be_covered(self):
        return {name for name, built in self.rows.items() if built} | self.callbacks \
            | {alias for alias, name in self.aliases.items() if self.rows[name]}

    def is_documented(self, heading):
        return any(each.startswith(heading) for each in self.headings)
