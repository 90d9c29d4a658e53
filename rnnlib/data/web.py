"""A file from a web address."""

import gzip
import io
import threading
import time
import warnings
from dataclasses import dataclass

SILENCE = 10.0  # seconds that a server may stay silent
DEADLINE = 120.0  # seconds that one mirror may take in all


@dataclass(frozen=True)
class Url:
    """A mirror that is a plain web address; compressed: what stands there went through gzip."""

    url: str
    compressed: bool = False

    def __str__(self):
        return self.url

    def read(self, size, timeout=SILENCE, deadline=DEADLINE):
        """Return the bytes at the address, unpacked; give up after ``size`` + 1 of them.

        timeout: seconds to wait for a connection, and for the next bytes.
        deadline: seconds in all.
        Raises TimeoutError, or what the connection raises.
        """
        sink, errors, responses = _Sink(size), [], []
        download = import_pooch().HTTPDownloader(
            timeout=timeout,
            chunk_size=2**16,
            hooks={"response": lambda response, **_: responses.append(response)},
        )

        def work():
            try:
                download(self.url, sink, None)
            except Exception as error:
                errors.append(error)
            finally:
                # pooch leaves the connection open when a download breaks off.
                for response in responses:
                    response.close()

        # A socket's timeout starts again with every byte, so only another thread can keep a
        # deadline.  It writes to memory alone: abandoned, it leaves nothing behind.
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        end = time.monotonic() + deadline
        try:
            while thread.is_alive() and time.monotonic() < end:
                thread.join(0.1)  # Short, since not every system can interrupt a long wait.
        finally:
            sink.open = False
        if thread.is_alive():
            raise TimeoutError(f"not complete after {deadline:g} s")
        if errors and not sink.full:
            raise _clear(errors[0], timeout)
        content = sink.content.getvalue()
        if self.compressed and not sink.full:
            return gzip.GzipFile(fileobj=io.BytesIO(content)).read(size + 1)
        return content


class _Sink:
    """A stream that keeps what is written, up to one byte more than ``size``, while it is open."""

    def __init__(self, size):
        self.room = size + 1
        self.content = io.BytesIO()
        self.full = False
        self.open = True

    def write(self, chunk):
        if self.open:
            self.content.write(chunk[: self.room - self.content.tell()])
            self.full = self.content.tell() == self.room
        if self.full or not self.open:
            raise OSError("no more bytes are wanted")

    def flush(self):
        pass


def _clear(error, timeout):
    """Return what lies at the bottom of the HTTP libraries' nested errors."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__
    if isinstance(error, TimeoutError):
        return TimeoutError(f"no answer within {timeout:g} s")
    return error


def import_pooch():
    try:
        with warnings.catch_warnings():
            # pooch loads tqdm's notebook bar, which warns where ipywidgets is missing.
            warnings.simplefilter("ignore")
            import pooch
    except ImportError as error:
        raise ImportError(
            "fetching data needs pooch, which is not installed: pip install 'rnnlib[data]'"
        ) from error
    return pooch
