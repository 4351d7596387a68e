"""Which changes are made to the core: mutmut's operators and two of our own, minus what no test could judge.

Left out by rule: `telcoflow_proto/testing.py`, docstrings, annotations and type aliases, `if TYPE_CHECKING`, imports,
`__all__`, `assert_never`, `cast`, overloads, and texts for people (f-strings and strings with a space in them).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import libcst as cst
import libcst.matchers as m
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators, operator_string

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "telcoflow_proto"
_LEFT_OUT = {CORE / "testing.py"}
_TYPES = {"TypeVar", "NewType", "ParamSpec"}
_UNJUDGED = {"assert_never", "cast", "Annotated"}


@dataclass(frozen=True)
class Mutant:
    """One change to one module. A test that runs one of `lines` (best first) may notice it."""

    path: Path
    line: int
    lines: tuple[int, ...]
    in_function: bool
    first: int
    old: tuple[str, ...]
    new: tuple[str, ...]

    @property
    def module(self) -> str:
        """The dotted name of the changed module."""
        return ".".join(self.path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")

    @property
    def where(self) -> str:
        """The changed file, for a reader."""
        return str(self.path.relative_to(ROOT))

    @property
    def change(self) -> str:
        """The changed lines, for a reader."""
        return f"{' '.join(map(str.strip, self.old))} => {' '.join(map(str.strip, self.new))}"

    def source(self) -> str:
        """The text of the changed module."""
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
        return "".join([*lines[: self.first], *self.new, *lines[self.first + len(self.old) :]])


def modules() -> list[Path]:
    """The files of the core that are changed."""
    return sorted(set(CORE.rglob("*.py")) - _LEFT_OUT)


def negate_condition(node: cst.If | cst.While) -> Iterator[cst.CSTNode]:
    """`if a:` becomes `if not (a):`; mutmut has no such operator."""
    inner = node.test.with_changes(lpar=[*node.test.lpar, cst.LeftParen()], rpar=[*node.test.rpar, cst.RightParen()])
    yield node.with_changes(test=cst.UnaryOperation(cst.Not(), inner))


def drop_statement(node: cst.Expr) -> Iterator[cst.CSTNode]:
    """`door.close()` becomes `pass`; mutmut has no such operator."""
    if not isinstance(node.value, cst.BaseString | cst.Ellipsis):
        yield cst.Pass()


def one_string(node: cst.BaseString) -> Iterator[cst.CSTNode]:
    """A word of the wire becomes another word; one change says as much as mutmut's three."""
    if not _is_text(node):
        yield from list(operator_string(node))[:1]


def sample(size: int | None, seed: int, files: Iterable[Path]) -> tuple[int, list[Mutant]]:
    """How many mutants there are, and the same share of every file's, rounded up; all of them without a size."""
    finders = {path: _Finder(path) for path in files}
    total = sum(len(finder.changes) for finder in finders.values())
    chosen: list[Mutant] = []
    for path, finder in finders.items():
        share = len(finder.changes) if size is None else -(-len(finder.changes) * min(size, total) // max(total, 1))
        # repeatable, not secret
        changes = random.Random(f"{seed} {path.parent.name} {path.name}").sample(finder.changes, share)
        chosen += [finder.mutant(old, new) for old, new in changes]
    return total, chosen


def _is_text(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.FormattedString | cst.ConcatenatedString) or (
        isinstance(node, cst.SimpleString) and " " in node.value
    )


def _is_pointless(old: cst.CSTNode, new: cst.CSTNode) -> bool:
    """Whether an argument that is a text for people was changed, or a case that cannot be reached was dropped."""
    if isinstance(old, cst.Match) and isinstance(new, cst.Match):
        (dropped,) = [one for one in old.cases if not any(one is kept for kept in new.cases)]
        return m.findall(dropped, m.Call(func=m.Name("assert_never"))) != []
    if not isinstance(old, cst.Call) or not isinstance(new, cst.Call):
        return False
    changed = [one for one in old.args if not any(one is kept for kept in new.args)]
    return any(_is_text(one.value) for one in changed)


def _is_named(node: cst.CSTNode, names: set[str]) -> bool:
    name = node.attr if isinstance(node, cst.Attribute) else node
    return isinstance(name, cst.Name) and name.value in names


def _is_type(node: cst.BaseExpression) -> bool:
    """Whether the right side of an assignment to a CamelCase name spells a type."""
    if isinstance(node, cst.BinaryOperation):
        return isinstance(node.operator, cst.BitOr)
    return isinstance(node, cst.Subscript)


def _is_excluded(node: cst.CSTNode) -> bool:
    match node:
        case cst.Annotation() | cst.Import() | cst.ImportFrom():
            return True
        case cst.If(test=test):
            return _is_named(test, {"TYPE_CHECKING"})
        case cst.Call(func=func):
            return _is_named(func, _UNJUDGED)
        case cst.FunctionDef(decorators=decorators):
            return any(_is_named(one.decorator, {"overload"}) for one in decorators)
        case cst.Expr(value=cst.Call(func=func)):
            return _is_named(func, {"assert_never"})
        case cst.Assign(value=cst.Call(func=func)) if _is_named(func, _TYPES):
            return True
        case cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value=name))], value=value):
            camel = name[:1].isupper() and not name.isupper() and "_" not in name
            return name == "__all__" or (camel and _is_type(value))
        case _:
            return False


class _Finder(cst.CSTVisitor):
    """Walks a module and notes (old node, new node) for every change."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.changes: list[tuple[cst.CSTNode, cst.CSTNode]] = []
        self._file = path
        wrapper = MetadataWrapper(cst.parse_module(path.read_text(encoding="utf-8")))
        self._tree = wrapper.module
        self._positions = wrapper.resolve(PositionProvider)
        self._parents: dict[cst.CSTNode, cst.CSTNode] = {}
        self._codes: dict[cst.CSTNode, list[str]] = {}
        self._path: list[cst.CSTNode] = []
        self._operators = [one for one in mutation_operators if one[1] is not operator_string]
        self._operators += [(cst.BaseString, one_string), (cst.If, negate_condition), (cst.While, negate_condition)]
        self._operators += [(cst.Expr, drop_statement)]
        wrapper.module.visit(self)

    def on_visit(self, node: cst.CSTNode) -> bool:
        if self._path:
            self._parents[node] = self._path[-1]
        self._path.append(node)
        if _is_excluded(node):
            return False
        for kind, operator in self._operators:
            if isinstance(node, kind):
                self.changes += [(node, new) for new in operator(node) if not _is_pointless(node, new)]
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        self._path.pop()

    def mutant(self, old: cst.CSTNode, new: cst.CSTNode) -> Mutant:
        """The change, described for the runner and for a reader."""
        lines: dict[int, None] = {}
        node, in_function, in_statement = old, False, False
        while (parent := self._parents[node]) is not self._tree:
            if not in_statement and (place := self._positions.get(node)) is not None:
                lines[place.start.line] = None
            in_statement = in_statement or isinstance(node, cst.BaseStatement)
            in_function = in_function or (isinstance(parent, cst.FunctionDef | cst.Lambda) and parent.body is node)
            node = parent
        if not in_statement:
            lines[self._positions[node].start.line] = None
        if node not in self._codes:
            self._codes[node] = self._tree.code_for_node(node).splitlines(keepends=True)
        left = self._codes[node]
        right = self._tree.code_for_node(self._replaced(node, old, new)).splitlines(keepends=True)
        above = below = 0
        while above < min(len(left), len(right)) and left[above] == right[above]:
            above += 1
        while below < min(len(left), len(right)) - above and left[-1 - below] == right[-1 - below]:
            below += 1
        first = self._positions[node].end.line - len(left) + above
        return Mutant(
            self._file,
            next(iter(lines)),
            tuple(lines),
            in_function,
            first,
            tuple(left[above : len(left) - below]),
            tuple(right[above : len(right) - below]),
        )

    def _replaced(self, top: cst.CSTNode, old: cst.CSTNode, new: cst.CSTNode) -> cst.CSTNode:
        """A statement with one node in it replaced: `deep_replace`, but only along the way up."""
        while old is not top:
            parent = self._parents[old]
            for field in fields(parent):
                value = getattr(parent, field.name)
                if value is old:
                    new = parent.with_changes(**{field.name: new})
                elif isinstance(value, Sequence) and any(one is old for one in value):
                    new = parent.with_changes(**{field.name: [new if one is old else one for one in value]})
            old = parent
        return new
