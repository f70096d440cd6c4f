"""What the supervisor and a worker process say to each other: JSON lines over pipes."""

from __future__ import annotations

import enum

import msgspec

from contract.benchmark import Golden, RunStatus, Window


class Stage(enum.StrEnum):
    """How far a worker is; a hang or a crash is reported with the stage it happened in."""

    STARTING = "starting"
    LOADING = "loading"
    FIRST = "running the first inference"
    CHECKING = "checking numerics"
    WARMING = "warming up"
    MEASURING = "measuring"
    EXAMINING = "measuring accuracy"
    ANSWERING = "answering"
    #: Proven, and ready for queries.
    SERVING = "serving"


class Preparation(enum.StrEnum):
    """What is done to a network after loading it."""

    #: Frozen, and rewritten for this CPU.
    OPTIMIZED = "optimized"
    #: Parameters become constants; batch norms fold into convolutions.
    FROZEN = "frozen"
    AS_BUILT = "as-built"


class Sustained(msgspec.Struct, frozen=True, kw_only=True):
    """Measure until the latency has settled, at most so long."""

    max_seconds: float
    #: Trends are looked for between windows of this length.
    window_s: float


class Examination(msgspec.Struct, frozen=True, kw_only=True):
    """Measure accuracy on an evaluation set whose SHA-256 was checked, at most so long."""

    path: str
    #: Data set that its images were drawn from, and how many images its list has.
    dataset: str
    drawn_from: int
    max_seconds: float


class _Task(msgspec.Struct, frozen=True, kw_only=True, tag_field="task"):
    threads: int


class ListEngines(_Task, frozen=True, kw_only=True, tag="list-engines"):
    """Say which quantized engines this box has."""


class Bench(_Task, frozen=True, kw_only=True, tag="bench"):
    """Measure one bundle."""

    bundle: str
    preparation: Preparation
    min_seconds: float
    min_runs: int
    sustained: Sustained | None = None
    #: After the timing.
    examination: Examination | None = None


class Predict(_Task, frozen=True, kw_only=True, tag="predict"):
    """Classify images with one bundle."""

    bundle: str
    preparation: Preparation
    images: list[str]
    top_k: int
    #: Whether somebody else sent the images: then only usual formats are read.
    is_foreign: bool = False


class Serve(_Task, frozen=True, kw_only=True, tag="serve"):
    """Keep one bundle warm and answer each `Query` that follows, until the pipe closes."""

    bundle: str
    preparation: Preparation
    #: Whether JPEGs may be decoded at a fraction of their size.
    fast_decode: bool = False


Task = ListEngines | Bench | Predict | Serve


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """One image for a serving worker: this line, then `size_bytes` bytes of an image file."""

    size_bytes: int
    top_k: int


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event"):
    pass


class Entered(_Event, frozen=True, kw_only=True, tag="entered"):
    """The worker entered a stage."""

    stage: Stage


class Engines(_Event, frozen=True, kw_only=True, tag="engines"):
    """Answer to `ListEngines`."""

    engines: list[str]


class Loaded(_Event, frozen=True, kw_only=True, tag="loaded"):
    """The network stands in memory and gave its first answer; bytes and milliseconds."""

    engine: str | None
    baseline_rss_bytes: int
    loaded_rss_bytes: int
    #: From the file to a network that can be called, preparation included.
    load_ms: float
    first_ms: float
    peak_was_reset: bool
    preparation: Preparation | None = None
    #: Why the worker is not held to its cores, where it is not.
    affinity_problem: str | None = None


class Checked(_Event, frozen=True, kw_only=True, tag="checked"):
    """Golden vectors were compared."""

    golden: Golden


class Measured(_Event, frozen=True, kw_only=True, tag="measured"):
    """Answer to `Bench`."""

    samples_ms: list[float]
    #: Index of the first sample that figures are taken from; those before are of a box that had
    #: not settled.
    settled_from: int = 0
    first_minute_p50_ms: float | None = None
    #: None where nobody asked for it.
    is_stationary: bool | None = None
    windows: list[Window] = []
    preprocess_ms: float
    postprocess_ms: float
    steady_rss_bytes: int
    steady_anonymous_bytes: int | None = None
    peak_rss_bytes: int | None
    #: Share (0..1) of the worker's cores that other processes used meanwhile.
    foreign_load: float | None
    #: Of all processor packages while the samples were taken, divided by their number.
    energy_mj: float | None = None

    @property
    def settled_ms(self) -> list[float]:
        """The samples that figures are taken from."""
        return self.samples_ms[self.settled_from :]

    @property
    def settled_windows(self) -> list[Window]:
        """The windows of those samples."""
        found, start = [], 0
        for window in self.windows:
            if start >= self.settled_from:
                found.append(window)
            start += window.n
        return found


class Examined(_Event, frozen=True, kw_only=True, tag="examined"):
    """Answers to the images of an evaluation set, counted; follows `Measured`."""

    images: int = 0
    #: A right output was the highest, or one of the three highest.
    right: int = 0
    right_within_3: int = 0
    #: Right here and wrong at the builder, and the other way round; None where the bundle
    #: does not say which images its builder had right.
    gained: int | None = None
    lost: int | None = None
    #: Images that could not be read here; they do not count.
    skipped: int = 0
    #: Why nothing was counted.
    problem: str | None = None


class Ranked(msgspec.Struct, frozen=True, kw_only=True):
    """One of the best classes of an image."""

    label: str
    index: int
    probability: float


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What one variant says of one image; milliseconds."""

    image: str
    top: list[Ranked]
    decode_ms: float
    preprocess_ms: float
    inference_ms: float
    postprocess_ms: float


class Predicted(_Event, frozen=True, kw_only=True, tag="predicted"):
    """Answer to `Predict`, one an image in the order asked."""

    answers: list[Answer]


class Tagged(_Event, frozen=True, kw_only=True, tag="tagged"):
    """Answer to a `Query`; milliseconds, each step measured once."""

    top: list[Ranked]
    decode_ms: float
    preprocess_ms: float
    inference_ms: float
    postprocess_ms: float


class Fault(enum.StrEnum):
    """What is wrong with an image that was refused."""

    NOT_AN_IMAGE = "not-an-image"
    DAMAGED = "damaged-image"
    TOO_MANY_PIXELS = "too-many-pixels"
    TOO_MUCH_MEMORY = "too-much-memory"


class Refused(_Event, frozen=True, kw_only=True, tag="refused"):
    """The other answer to a `Query`, or to a `Predict` of foreign images: the image is at fault.

    A serving worker goes on.
    """

    fault: Fault
    reason: str


class Failed(_Event, frozen=True, kw_only=True, tag="failed"):
    """The worker found out itself that it cannot go on."""

    status: RunStatus
    reason: str


Event = (
    Entered
    | Engines
    | Loaded
    | Checked
    | Measured
    | Examined
    | Predicted
    | Tagged
    | Refused
    | Failed
)
