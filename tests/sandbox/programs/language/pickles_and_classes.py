"""Defines classes of all kinds and pickles, copies, compares and types them."""

import abc
import collections
import copy
import dataclasses
import enum
import functools
import io
import pickle
import typing


@dataclasses.dataclass(order=True, frozen=True, slots=True)
class Point:
    x: int
    y: int = 0
    tags: tuple[str, ...] = dataclasses.field(default=(), compare=False)


class Color(enum.Enum):
    RED = enum.auto()
    BLUE = enum.auto()


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self): ...


class Square(Shape):
    def __init__(self, side):
        self.side = side

    def area(self):
        return self.side**2

    def __getstate__(self):
        return {"side": self.side}

    def __eq__(self, other):
        return self.side == other.side

    __hash__ = None


Pair = collections.namedtuple("Pair", "a b")


class Film(typing.NamedTuple):
    title: str
    year: int = 2000


values = [
    Point(1, 2, ("t",)),
    Color.BLUE,
    Square(3),
    Pair(1, 2),
    Film("x"),
    {1: {2, 3}},
    b"b",
    1j,
    ...,
    range(3),
]
for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
    assert pickle.loads(pickle.dumps(values, protocol)) == values
with open("values.pickle", "wb") as file:
    pickle.dump(values, file)
with open("values.pickle", "rb") as file:
    assert pickle.load(file) == values
buffers = []
big = bytearray(1_000_000)
packed = pickle.dumps(pickle.PickleBuffer(big), protocol=5, buffer_callback=buffers.append)
assert len(packed) < 100
assert pickle.loads(packed, buffers=buffers) is not None
try:
    pickle.dumps(lambda: 0)
except (pickle.PicklingError, AttributeError) as error:
    assert "lambda" in str(error)
loop = []
loop.append(loop)
again = pickle.loads(pickle.dumps(loop))
assert again[0] is again
assert copy.deepcopy(values) == values
assert dataclasses.replace(Point(1), y=5) == Point(1, 5)
assert min([Point(2), Point(1, 9)]).x == 1
assert dataclasses.asdict(Point(1, 2)) == {"x": 1, "y": 2, "tags": ()}
try:
    Shape()
except TypeError as error:
    assert "abstract" in str(error)


@functools.cache
def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


@functools.singledispatch
def kind(value):
    return "other"


@kind.register
def _(value: int):
    return "number"


assert fibonacci(80) == 23416728348467685
assert (kind(1), kind("")) == ("number", "other")
match Point(1, 2):
    case Point(x=1, y=y):
        assert y == 2
assert typing.get_type_hints(Point)["x"] is int
assert io.BytesIO(b"x").read() == b"x"
print("done")
