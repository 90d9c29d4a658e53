"""A server on this machine that fails, stalls, truncates and lies; and packages made by hand."""

import gzip
import hashlib
import http.server
import io
import os
import pathlib
import tarfile
import zipfile

import pytest

import rnnlib
from rnnlib import data
from rnnlib.data import cache

CONTENT = "Call me Ishmael. — Ахав\r\n".encode() * 5000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SILENCE, DEADLINE = 0.5, 1.5
ROOT = str(pathlib.Path(rnnlib.__file__).parents[1])
posix = pytest.mark.skipif(os.name != "posix", reason="stands in for npm with a shell script")
PACKAGE = data.NpmPackage("@whales/white", "1.2.3", "package/data/whale.txt")
WHEEL = data.PypiWheel("whales", "1.2.3", "whales/whale.txt")


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        getattr(self, self.path.strip("/"), self.missing)()

    def head(self, length, **headers):
        self.send_response(200)
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def missing(self):
        self.send_error(404)

    def broken(self):
        self.send_error(500)

    def good(self):
        self.head(len(CONTENT))
        self.wfile.write(CONTENT)

    def compressed(self):
        body = gzip.compress(CONTENT)
        self.head(len(body), Content_Encoding="gzip")
        self.wfile.write(body)

    def zipped(self, content=CONTENT):
        body = gzip.compress(content)
        self.head(len(body))
        self.wfile.write(body)

    def bomb(self):
        self.zipped(CONTENT + bytes(2**24))

    def moved(self):
        self.send_response(302)
        self.send_header("Location", "/good")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def silent(self):
        self.server.over.wait(60)

    def stalls(self):
        self.head(len(CONTENT))
        self.wfile.write(CONTENT[:1000])
        self.wfile.flush()
        self.server.over.wait(60)

    def cut(self):
        self.head(len(CONTENT))
        self.wfile.write(CONTENT[:1000])

    def short(self):
        self.head(1000)
        self.wfile.write(CONTENT[:1000])

    def lies(self):
        self.head(len(CONTENT))
        self.wfile.write(CONTENT[::-1])

    def long(self):
        self.head(len(CONTENT) + 1)
        self.wfile.write(CONTENT + b"!")

    def endless(self):
        self.send_response(200)
        self.end_headers()
        while not self.server.over.is_set():
            self.wfile.write(bytes(2**16))

    def trickles(self):
        self.head(len(CONTENT))
        for byte in CONTENT:
            self.wfile.write(bytes([byte]))
            if self.server.over.wait(0.05):
                break

    def together(self):
        """Answer when two have asked."""
        self.server.two.wait(30)
        self.good()

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that has had enough is no error."""


def get(file, folder):
    return cache.get(file, folder, SILENCE, DEADLINE)


def names(folder):
    return sorted(p.name for p in folder.iterdir()) if folder.exists() else []


def archive(path, *members):
    with tarfile.open(path, "w:gz") as tar:
        for name, body in members:
            member = tarfile.TarInfo(name)
            if isinstance(body, str):
                member.type, member.linkname, body = tarfile.SYMTYPE, body, b""
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    return path


def wheel(path, **members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, body in members.items():
            archive.writestr(f"whales/{name}.txt", body)
    return path
