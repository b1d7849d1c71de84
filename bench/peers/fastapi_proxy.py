"""fastapi-proxy-lib as its manual shows it, served by uvicorn on uvloop and httptools: `python -m … PORT ORIGIN`."""

from __future__ import annotations

import sys

import uvicorn
from fastapi_proxy_lib.fastapi.app import reverse_http_app

if __name__ == "__main__":
    app = reverse_http_app(base_url=f"{sys.argv[2]}/")
    uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False, log_level="warning")
