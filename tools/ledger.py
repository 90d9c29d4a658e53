"""The ledger of equations: a Sphinx extension.

``rnnlib.notebook.show`` puts a record of each proof beside the equation that it hands to the page.
Here the records are collected: each equation gets a small mark that leads to its record, the page
with the directive ``{ledger}`` lists them all, and ``ledger.json`` is written beside the pages.
"""

import json
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

RECORD = "application/vnd.rnnlib.proof+json"
TRUST = "Taken on trust"
MARKS = {"exact": "proved", "induction": "proved for every T"}
HOW = {
    "exact": "exact entries",
    "induction": "induction, the step by exact entries",
}


class LedgerList(nodes.General, nodes.Element):
    """Where the list of all records goes."""


class LedgerDirective(SphinxDirective):
    """List every record of the book here."""

    def run(self):
        self.env.ledger_page = self.env.docname
        return [LedgerList()]


# Collecting, one page at a time -----------------------------------------------------------


def read_page(app, doctree):
    """Keep the records of a page, and what it says that is taken on trust."""
    env = app.env
    records = read_records(Path(app.outdir).parent / "jupyter_execute", env.docname)
    shown = [n["label"] for n in doctree.findall(nodes.math_block) if n.get("label") in records]
    ledger(env)[env.docname] = [records[label] for label in shown]
    trusted(env)[env.docname] = [
        n.children[1].astext()
        for n in doctree.findall(nodes.admonition)
        if n.children[0].astext().startswith(TRUST)
    ]


def read_records(folder, docname):
    """Return the records that a notebook's run left, by label."""
    path = folder / f"{docname}.glue.json"
    if not path.exists():
        return {}
    outputs = json.loads(path.read_text(encoding="utf-8"))
    return {
        label: output["data"][RECORD]
        for label, output in outputs.items()
        if RECORD in output.get("data", {})
    }


def ledger(env):
    """The records of each page."""
    return vars(env).setdefault("ledger_records", {})


def trusted(env):
    """What each page says that is taken on trust."""
    return vars(env).setdefault("ledger_trusted", {})


def forget_page(app, env, docname):
    ledger(env).pop(docname, None)
    trusted(env).pop(docname, None)


def write_again(app, env):
    """The list changes with any page, so its own page is always written."""
    page = getattr(env, "ledger_page", None)
    return [page] if page in env.found_docs else []


# Writing ----------------------------------------------------------------------------------


def fill_page(app, doctree, docname):
    env = app.env
    marked = {r["label"]: r for r in ledger(env).get(docname, [])}
    for block in list(doctree.findall(nodes.math_block)):
        if block.get("label") in marked:
            record = marked[block["label"]]
            block.parent.insert(block.parent.index(block) + 1, mark(app, docname, record))
    for place in list(doctree.findall(LedgerList)):
        place.replace_self(list(listing(app, docname)))


def mark(app, docname, record):
    """A line under an equation that leads to its record."""
    page = getattr(app.env, "ledger_page", None)
    line = nodes.paragraph(classes=["proved"])
    text = f"✓ {MARKS[record['method']]}"
    if page is None:
        line += nodes.Text(text)
        return line
    uri = app.builder.get_relative_uri(docname, page) + f"#{anchor(record)}"
    how = f"{record['label']}: {record['proof']}"
    line += nodes.reference("", text, internal=True, refuri=uri, reftitle=how)
    return line


def anchor(record):
    return f"ledger-{record['label']}"


def listing(app, docname):
    """Yield the list: a heading for each chapter, then its equations in order."""
    env = app.env
    for page in pages(env):
        yield nodes.rubric("", env.titles[page].astext())
        for record in ledger(env)[page]:
            yield entry(app, docname, page, record)
    told = [(page, text) for page in env.ledger_trusted for text in env.ledger_trusted[page]]
    if told:
        yield nodes.rubric("", TRUST)
        lines = (f"{env.titles[page].astext()}: {text}" for page, text in told)
        yield nodes.bullet_list(
            "", *(nodes.list_item("", nodes.paragraph(text=line)) for line in lines)
        )


def pages(env):
    """The pages that have records, in reading order."""
    order = [env.config.root_doc, *env.collect_relations()]
    return [p for p in dict.fromkeys(order) if ledger(env).get(p)]


def entry(app, docname, page, record):
    number = equation_number(app.env, record["label"])
    uri = f"{app.builder.get_relative_uri(docname, page)}#equation-{record['label']}"
    head = nodes.paragraph(classes=["ledger-head"])
    head += nodes.reference("", f"({number})", internal=True, refuri=uri)
    head += nodes.Text(" in ")
    for i, (name, shape) in enumerate(record["variables"]):
        head += nodes.Text(", " if i else "")
        head += nodes.math("", name)
        head += nodes.Text(f" ({shape})")
    statement = nodes.math_block(
        "", record["statement"], nowrap=False, number=None, label=None, docname=docname
    )
    box = nodes.container("", head, statement, how(record), classes=["ledger-entry"])
    box["ids"].append(anchor(record))
    return box


def how(record):
    """The line that says how a statement was proved, where, and in what time."""
    rules = ", ".join(record["rules"])
    parts = [
        f"Rules: {rules}." if rules else "",
        f"Checked by {HOW[record['method']]}, at {sizes(record)}",
        f"in {record['seconds']:.2f} s.",
    ]
    return nodes.paragraph("", " ".join(filter(None, parts)), classes=["ledger-how"])


def sizes(record):
    def written(choice):
        return ", ".join(f"{name} = {size}" for name, size in choice.items()) or "one size"

    exact = "; ".join(map(written, record["sizes"]))
    larger = written(record["larger"]) if record["larger"] else ""
    return exact + (f"; and in numbers of 80 digits at {larger}" if larger else "")


def equation_number(env, label):
    """The number under which a page shows an equation, such as 2.5."""
    equation = env.get_domain("math").equations[label]
    page, number = equation
    chapter = env.toc_secnumbers.get(page, {}).get("", ())
    return ".".join(map(str, (*chapter[:1], number)))


def write_json(app, error):
    """Write every record with its chapter and number; only for a build that ended well."""
    if error is not None or app.builder.format != "html":
        return
    env = app.env
    rows = [
        {
            "chapter": page,
            "title": env.titles[page].astext(),
            "number": equation_number(env, record["label"]),
            **record,
        }
        for page in pages(env)
        for record in ledger(env)[page]
    ]
    target = Path(app.outdir) / "ledger.json"
    half = target.with_suffix(".json.new")
    half.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    half.replace(target)


def setup(app):
    app.add_node(LedgerList)
    app.add_directive("ledger", LedgerDirective)
    app.connect("doctree-read", read_page)
    app.connect("env-purge-doc", forget_page)
    app.connect("env-updated", write_again)
    app.connect("doctree-resolved", fill_page)
    app.connect("build-finished", write_json)
    return {"version": "1", "env_version": 1, "parallel_read_safe": False}
