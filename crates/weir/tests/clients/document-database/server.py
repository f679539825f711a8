"""A server that speaks MongoDB's protocol: server.py [CERTIFICATE KEY].

Prints its address, and ends when its input does. With a certificate it speaks TLS only, and takes only the user `weir` with the
password `s3cret`.
"""

import shutil
import sys
import tempfile

from pymongo import MongoClient
from secantus import SecantusDBServer

folder = tempfile.mkdtemp()
secured = {}
if len(sys.argv) > 1:
    with SecantusDBServer(storage_path=folder) as server:
        MongoClient(server.uri).admin.command("createUser", "weir", pwd="s3cret", roles=["root"])
    secured = {"require_auth": True, "tls_cert_file": sys.argv[1], "tls_key_file": sys.argv[2]}
try:
    with SecantusDBServer(storage_path=folder, cache_size="64M", **secured) as server:
        print(f"127.0.0.1:{server.port}", flush=True)
        sys.stdin.read()
finally:
    shutil.rmtree(folder, ignore_errors=True)
