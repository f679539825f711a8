"""Calls through Gateway URLs with requests-runscope: fetch.py PROXY BUCKET TOKEN URL...

The library is of the time of Python 2: it is unmodified, and finds two modules under the names they had then. PROXY is where
names below runscope.net are found, as their DNS would say. TOKEN may be empty.
"""

import json
import sys
import urllib.parse
from pathlib import Path

sys.modules["urlparse"] = urllib.parse
for folder in sys.path:
    if (Path(folder) / "requests_runscope" / "runscope_adapter.py").exists():
        sys.path.append(str(Path(folder) / "requests_runscope"))
        break

import requests  # noqa: E402
from requests_runscope import RunscopeAdapter  # noqa: E402


def main(proxy, bucket, token, *urls):
    session = requests.Session()
    session.mount("http://", RunscopeAdapter(bucket, token or None))
    session.proxies = {"http": proxy}
    session.trust_env = False
    seen = []
    for url in urls:
        answer = session.get(url, headers={"X-Client": "requests-runscope"}, allow_redirects=False)
        seen.append(
            {"status": answer.status_code, "url": answer.url, "headers": dict(answer.headers), "body": answer.text}
        )
    print("saw", json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
