"""Tables of ``run.sqlite``.

``measurements`` are a policy's own of its looks, one list of numbers an episode and name.
``timings`` says how a policy's decisions are paid for, where they are
(:class:`wambench.clock.Timing`). ``factors`` tells what an initial state changes of a plain one,
and of which (see :class:`wambench.suite.Factors`).
``cells`` is what was asked for, ``episodes`` what is known (at most one per cell, never
overwritten), ``attempts`` what went wrong with the machinery, ``invocations`` who asked.
``cells.current`` is 0 for cells that a later sweep asked for under another key (a policy whose
weights changed, say): their episodes stay, tables leave them out. It is 0 too for cells that a
rule spared (:mod:`wambench.stopping`), which is remembered in ``meta``.
"""

VERSION = 1

# Came after version 1 and take nothing from it: a store without them has measured nothing, has
# plain initial states only, and a world that waits.
LATER = {
    "measurements": """
CREATE TABLE IF NOT EXISTS measurements (
    cell_key TEXT NOT NULL REFERENCES cells (key), name TEXT NOT NULL, numbers TEXT NOT NULL,
    PRIMARY KEY (cell_key, name)
)
""",
    "timings": """
CREATE TABLE IF NOT EXISTS timings (label TEXT PRIMARY KEY, timing TEXT NOT NULL)
""",
    "factors": """
CREATE TABLE IF NOT EXISTS factors (
    suite TEXT NOT NULL, task TEXT NOT NULL, init_state INTEGER NOT NULL,
    variant TEXT NOT NULL,
    axis TEXT NOT NULL, kind TEXT NOT NULL, magnitude REAL, unit TEXT NOT NULL,
    base_suite TEXT NOT NULL, base_task TEXT NOT NULL, base_state INTEGER,
    PRIMARY KEY (suite, task, init_state)
)
""",
}

TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE passports (id TEXT PRIMARY KEY, made_at TEXT NOT NULL, json TEXT NOT NULL);
CREATE TABLE policies (
    label TEXT PRIMARY KEY, name TEXT NOT NULL, options TEXT NOT NULL, spec TEXT NOT NULL
);
CREATE TABLE cells (
    key TEXT PRIMARY KEY,
    policy TEXT NOT NULL, protocol TEXT NOT NULL,
    suite TEXT NOT NULL, task_index INTEGER NOT NULL, task TEXT NOT NULL,
    init_state INTEGER NOT NULL, seed INTEGER NOT NULL,
    current INTEGER NOT NULL DEFAULT 1
);
CREATE INDEX cells_by_name ON cells (policy, suite, task, init_state, seed);
CREATE TABLE episodes (
    cell_key TEXT PRIMARY KEY REFERENCES cells (key),
    passport_id TEXT NOT NULL REFERENCES passports (id),
    outcome TEXT NOT NULL CHECK (outcome IN ('success', 'failure', 'policy_error')),
    steps INTEGER NOT NULL, looks INTEGER NOT NULL, fault TEXT NOT NULL,
    final_digest TEXT NOT NULL, trace BLOB NOT NULL,
    seconds TEXT NOT NULL, finished_at TEXT NOT NULL
);
CREATE TABLE attempts (
    id INTEGER PRIMARY KEY,
    cell_key TEXT NOT NULL REFERENCES cells (key),
    kind TEXT NOT NULL, message TEXT NOT NULL, traceback TEXT NOT NULL, at TEXT NOT NULL
);
CREATE TABLE invocations (
    id INTEGER PRIMARY KEY, command TEXT NOT NULL, started_at TEXT NOT NULL, ended TEXT
);
"""
