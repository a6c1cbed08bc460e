"""Finds or gets the external tools: `python3 tests/tools [list | get [NAME...] | path NAME]`.

`list` looks and fetches nothing, `get` fetches what is missing and prints the same table,
`path NAME` prints only the path of one tool (fetched if need be), for use by other programs.
"""

import sys

sys.dont_write_bytecode = True

from catalogue import CATALOGUE, Found, Missing, find, get  # noqa: E402


def look(tool):
    """What there is of `tool` without fetching anything."""
    if tool.fetch and tool.fetch.path.exists():
        return get(tool)
    return find(tool)


def table(rows):
    """Prints rows as aligned columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def main(words) -> int:
    """The command."""
    act, names = (words[0], words[1:]) if words else ("list", [])
    unknown = [name for name in names if name not in CATALOGUE]
    if act not in ("list", "get", "path") or unknown or (act == "path") != (len(names) == 1 and act == "path"):
        print(__doc__, f"\nknown: {', '.join(CATALOGUE)}", file=sys.stderr)
        return 2
    rows, missing = [("tool", "version", "from", "path", "for")], []
    for tool in [CATALOGUE[name] for name in names] or CATALOGUE.values():
        try:
            found = look(tool) if act == "list" else get(tool)
            if found is None:
                can = "make tools" if tool.fetch else tool.hint
                found = Found("-", "missing", f"{tool.wanted}: {can}")
        except Missing as reason:
            missing.append(f"tools: {reason}")
            found = Found("-", "missing", f"{tool.wanted}: {tool.hint}")
        if act == "path" and not missing:
            print(found.path)
        rows.append((tool.name, found.version, found.source, found.path, tool.purpose))
    if act != "path":
        table(rows)
    print(*missing, sep="\n", end="\n" if missing else "", file=sys.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
